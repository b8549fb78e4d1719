"""The reasons that only a host gives, read by `reasons_text`. A number is never used for another.

96..127 receivers and verdicts, 128..159 registry, keys and roles, 160..191 files and captures, 192..223
gateways, stores and networks, 224..255 updates and evidence.
"""

# Five lines for each: number and name; English; French; what to do; que faire.
TEXT = """\
96 duplicate
The frame was received before.
La trame a déjà été reçue.
Nothing: it counts once.
Rien : elle compte une fois.
97 conflict
Another frame with this number is signed; this one is not.
Une autre trame de ce numéro est signée ; celle-ci ne l'est pas.
Renew the device's symmetric keys: somebody else holds them.
Renouveler les clés symétriques de l'appareil : quelqu'un d'autre les détient.
98 equivocation
Two verified contents exist for one number.
Deux contenus vérifiés existent pour un même numéro.
Treat the key as leaked or the device as cloned; enrol it again.
Tenir la clé pour divulguée ou l'appareil pour cloné ; le réenrôler.
99 quarantine
The number is far above the last one; the frame is kept apart.
Le numéro dépasse de loin le dernier ; la trame est mise à part.
Release it, or wait for three more frames with rising numbers.
La libérer, ou attendre trois trames de numéros croissants.
100 late
The frame arrived late: it fills history, never the present.
La trame arrive tard : elle complète l'historique, jamais le présent.
Nothing.
Rien.
101 gap
A number that the device used was never received.
Un numéro employé par l'appareil n'a jamais été reçu.
Wait for late frames; then look for loss or suppression.
Attendre les trames tardives ; puis chercher une perte ou une suppression.
102 closed_epoch
The key epoch of this frame was closed more than 14 days ago.
L'époque de clé de cette trame est close depuis plus de 14 jours.
Release it by hand if the traffic is known to be late.
La libérer à la main si ce trafic est connu pour être tardif.
103 unknown_epoch
The registry has no such epoch for this device.
Le registre ne connaît pas cette époque pour l'appareil.
Bring the registry up to date.
Mettre le registre à jour.
104 revoked
The key was revoked.
La clé a été révoquée.
Enrol the device again.
Réenrôler l'appareil.
105 superseded
A newer key has taken the place of this one.
Une clé plus récente a remplacé celle-ci.
Nothing for late frames; else look at the device.
Rien pour des trames tardives ; sinon examiner l'appareil.
106 disclosed
The owner's keys became known; unsigned readings prove nothing from then on.
Les clés du propriétaire sont connues ; les mesures non signées ne prouvent plus rien depuis.
Enrol the devices again under a new root.
Réenrôler les appareils sous une nouvelle racine.
107 mac_key_leaked
A frame that only its code supports contradicts a signed segment.
Une trame appuyée par son seul sceau contredit un segment signé.
Renew the device's symmetric keys: somebody else holds them.
Renouveler les clés symétriques de l'appareil : quelqu'un d'autre les détient.
108 fragment_incomplete
A fragment of this checkpoint is missing.
Il manque un fragment de ce point de contrôle.
Ask for the checkpoint again.
Redemander le point de contrôle.
109 segment_incomplete
A frame of this signed segment is missing.
Il manque une trame de ce segment signé.
Ask the device for it while it still has it.
La demander à l'appareil tant qu'il l'a.
110 head_mismatch
The frames of the segment do not give the signed head.
Les trames du segment ne donnent pas la tête signée.
Keep everything: a frame was forged or the device was cloned.
Tout garder : une trame est contrefaite ou l'appareil cloné.
111 no_checkpoint
No signed checkpoint covers this reading yet.
Aucun point de contrôle signé ne couvre encore cette mesure.
Wait for the next checkpoint.
Attendre le prochain point de contrôle.
112 malformed
The bytes are no message of ours.
Les octets ne sont pas un de nos messages.
Look for damage or for a foreign sender.
Chercher une altération ou un émetteur étranger.
113 erased
The payload was erased; its leaf stays.
Le contenu a été effacé ; sa feuille demeure.
Nothing: this is the retention rule.
Rien : c'est la règle de conservation.
114 unattested_time
The time of reception is the word of a gateway that cannot sign.
L'heure de réception est l'affirmation d'une passerelle qui ne signe pas.
Use a gateway that signs its records where time matters.
Employer une passerelle qui signe ses relevés là où l'heure compte.
115 wrong_direction
An uplink came as a downlink or the other way round.
Une trame montante est venue en descente, ou l'inverse.
Treat the frame as an attack.
Traiter la trame comme une attaque.
116 candidates
More devices share this address than may be tried.
Plus d'appareils partagent cette adresse qu'on n'en peut essayer.
Give the devices addresses of their own.
Donner aux appareils des adresses distinctes.
117 bad_mic
The LoRaWAN frame's MIC fits none of its sessions.
Le MIC de la trame LoRaWAN ne convient à aucune de ses sessions.
Look for damage on the way, another network's device or a forger.
Chercher une trame abîmée, un appareil d'un autre réseau ou un faussaire.
118 no_session
No session key for this LoRaWAN frame is at hand.
Aucune clé de session n'est disponible pour cette trame LoRaWAN.
Give the LoRaWAN keys of the device, or a capture that holds its join.
Donner les clés LoRaWAN de l'appareil, ou une capture qui contient son join.
119 network_only
Only the LoRaWAN network's keys vouch for this frame; it holds no message of ours.
Seules les clés du réseau LoRaWAN garantissent cette trame ; elle ne porte aucun message des nôtres.
Nothing: joins, MAC commands and other people's devices are so.
Rien : les joins, les commandes MAC et les appareils d'autrui sont ainsi.
120 lorawan_major
The LoRaWAN frame is of a major version that nobody defined.
La trame LoRaWAN est d'une version majeure que personne n'a définie.
Ignore a foreign sender.
Ignorer un émetteur étranger.
121 lorawan_length
The LoRaWAN frame has a length that its type cannot have.
La longueur de la trame LoRaWAN n'est pas possible pour son type.
Look for damage on the way; ignore a foreign sender.
Chercher une trame abîmée ; ignorer un émetteur étranger.
122 fopts_length
The LoRaWAN header announces more options than the frame holds.
L'en-tête LoRaWAN annonce plus d'options que la trame n'en contient.
Look for damage on the way; ignore a foreign sender.
Chercher une trame abîmée ; ignorer un émetteur étranger.
123 fopts_port0
The LoRaWAN frame has MAC commands in its header and on port 0, which excludes the other.
La trame LoRaWAN a des commandes MAC dans l'en-tête et sur le port 0, ce qui s'exclut.
Ignore a foreign sender; report a device of ours.
Ignorer un émetteur étranger ; signaler un appareil à nous.
124 rejoin_type
The LoRaWAN rejoin request has a type that nobody defined.
La demande de rejoin LoRaWAN est d'un type que personne n'a défini.
Ignore a foreign sender.
Ignorer un émetteur étranger.
128 registry_chain
An entry of the registry does not follow from the one before.
Une entrée du registre ne suit pas la précédente.
Restore the registry; find out who wrote to it.
Restaurer le registre ; chercher qui y a écrit.
129 registry_cut
The registry ends before its anchored head.
Le registre s'arrête avant sa tête ancrée.
Restore the missing entries.
Restaurer les entrées manquantes.
130 registry_fork
The registry is another one than its anchored head says.
Le registre n'est pas celui que dit sa tête ancrée.
Keep both; find out who rewrote it.
Garder les deux ; chercher qui l'a réécrit.
131 registry_old
The registry is older than one seen before.
Le registre est plus ancien qu'un autre déjà vu.
Fetch the current one.
Récupérer l'actuel.
132 registry_signature
An entry is not signed by a person who may.
Une entrée n'est pas signée par une personne habilitée.
Refuse the entry; find out who wrote it.
Refuser l'entrée ; chercher qui l'a écrite.
133 not_anchored
The registry is consistent; nothing outside vouches for it.
Le registre est cohérent ; rien d'extérieur n'en répond.
Verify with an anchor.
Vérifier avec un ancrage.
134 role
This role may not do this.
Ce rôle ne peut pas faire cela.
Ask a person who holds the role.
Demander à une personne qui a ce rôle.
135 export_refused
An export would give away a root, a device key or a command key.
Un export livrerait une racine, une clé d'appareil ou une clé de commande.
Export a reader key ring.
Exporter un trousseau de lecture.
136 lab_tenant
Lab keys and real keys do not mix.
Clés de laboratoire et clés réelles ne se mélangent pas.
Use a tenant of the right kind.
Employer un propriétaire de la bonne sorte.
137 duplicate_public_key
Two devices have the same public key.
Deux appareils ont la même clé publique.
Enrol the second one again; look at its random numbers.
Réenrôler le second ; examiner son générateur aléatoire.
138 host_made_key
The key was made outside the device and is known to who provisioned it.
La clé a été faite hors de l'appareil et son installateur la connaît.
Enrol the device with a key of its own.
Enrôler l'appareil avec une clé à lui.
139 key_check
The device holds another key than the registry.
L'appareil détient une autre clé que le registre.
Provision the device again.
Reprovisionner l'appareil.
140 possession
The device did not prove that it holds the private key.
L'appareil n'a pas prouvé qu'il détient la clé privée.
Do not register it; repeat on another cable and computer.
Ne pas l'enregistrer ; recommencer avec un autre câble et ordinateur.
141 not_active
The device was never verified over the radio.
L'appareil n'a jamais été vérifié par la radio.
Wait for its first frame.
Attendre sa première trame.
142 suspected
The registry holds the device as suspected.
Le registre tient l'appareil pour suspect.
Clear it on site first.
Le contrôler d'abord sur place.
143 void
The device was opened and its keys were erased.
L'appareil a été ouvert et ses clés effacées.
Enrol it again.
Le réenrôler.
144 ticket
The enrolment ticket is used, expired or names another device.
Le ticket d'enrôlement est utilisé, périmé ou nomme un autre appareil.
Ask for a new ticket.
Demander un nouveau ticket.
145 passphrase
The pass phrase is wrong or the key store was changed.
La phrase secrète est fausse ou le coffre a été modifié.
Try again; else restore the backup.
Réessayer ; sinon restaurer la sauvegarde.
146 loose_permissions
Others can read this key file.
D'autres peuvent lire ce fichier de clés.
Restrict it to yourself.
En réserver la lecture à vous seul.
160 unknown_format
The file is of no format that is read here.
Le fichier n'est d'aucun format lu ici.
Name the format, or convert the file.
Nommer le format, ou convertir le fichier.
161 file_truncated
The file ends in the middle of a record.
Le fichier s'arrête au milieu d'un enregistrement.
Everything before was read; fetch the rest.
Tout ce qui précède est lu ; récupérer le reste.
162 file_too_large
The file or one record of it is larger than allowed.
Le fichier ou un enregistrement dépasse la taille permise.
Cut the file, or raise the limit.
Découper le fichier, ou relever la limite.
163 expansion
The packed file would grow beyond any honest capture.
Le fichier compressé grossirait au-delà de toute capture honnête.
Treat the file as hostile.
Tenir le fichier pour hostile.
164 path_refused
A name in the archive leads outside of it.
Un nom dans l'archive mène hors d'elle.
Treat the archive as hostile.
Tenir l'archive pour hostile.
165 bad_record
A record of the file is damaged.
Un enregistrement du fichier est abîmé.
The others were read; fetch the file again.
Les autres sont lus ; récupérer le fichier à nouveau.
166 bad_time
A time in the file is impossible.
Une heure du fichier est impossible.
Look at the clock of the recorder.
Examiner l'horloge de l'enregistreur.
167 foreign_link
The capture is of another kind of link.
La capture est d'une autre sorte de liaison.
Capture LoRaTap or LoRaWAN frames.
Capturer des trames LoRaTap ou LoRaWAN.
168 file_exists
The file exists and is not overwritten.
Le fichier existe et n'est pas écrasé.
Choose another name or ask for overwriting.
Choisir un autre nom ou demander l'écrasement.
169 file_changed
The file was changed while it was read.
Le fichier a changé pendant la lecture.
Read it again.
Le relire.
170 not_text
The text is neither hexadecimal nor base64.
Le texte n'est ni hexadécimal ni base64.
Correct it.
Le corriger.
171 bad_json
The text is no JSON as RFC 8259 has it.
Le texte n'est pas du JSON au sens de la RFC 8259.
Look at that line of the source; the rest was read.
Voir cette ligne de la source ; le reste a été lu.
192 unknown_route
The gateway knows no owner for this frame.
La passerelle ne connaît pas de propriétaire pour cette trame.
Add the route, or ignore a neighbour's device.
Ajouter la route, ou ignorer l'appareil d'un voisin.
193 tenant_share
The owner's share of the gateway's memory is full.
La part du propriétaire dans la mémoire de la passerelle est pleine.
Repair its connection, or enlarge the share.
Réparer sa liaison, ou agrandir la part.
194 kid_cap
One device fills the gateway.
Un appareil remplit la passerelle.
Look for a forger or a faulty device.
Chercher un faussaire ou un appareil défectueux.
195 overwritten
The oldest frames were overwritten before they were delivered.
Les plus anciennes trames ont été écrasées avant d'être livrées.
Repair the connection sooner, or enlarge the buffer.
Réparer plus tôt la liaison, ou agrandir la mémoire.
196 foreign_downlink
A downlink was asked for a device of another owner.
Une trame descendante vise l'appareil d'un autre propriétaire.
Treat the request as an attack.
Traiter la demande comme une attaque.
197 receipt
The receipt of the store does not verify.
Le reçu de l'entrepôt n'est pas valide.
Check the log key of the gateway.
Vérifier la clé de journal de la passerelle.
198 window_missed
The downlink came too late for the receive window.
La trame descendante arrive trop tard pour la fenêtre de réception.
Nothing: the next uplink opens another.
Rien : la prochaine trame montante en ouvre une autre.
199 no_fit
The frame does not fit at this data rate.
La trame ne tient pas à ce débit.
Use a faster data rate or a shorter message.
Employer un débit plus élevé ou un message plus court.
200 unreachable
The peer does not answer.
Le correspondant ne répond pas.
Check address, network and power.
Vérifier adresse, réseau et alimentation.
201 certificate
The certificate of the peer is not the right one.
Le certificat du correspondant n'est pas le bon.
Never switch verification off; correct the certificate or the clock.
Ne jamais couper la vérification ; corriger le certificat ou l'horloge.
202 record_known
The gateway sent this record before.
La passerelle a déjà envoyé ce relevé.
Nothing: it counts once.
Rien : il compte une fois.
203 store_full
The store has no room.
L'entrepôt n'a plus de place.
Make room; frames wait on the gateway.
Faire de la place ; les trames attendent sur la passerelle.
224 bundle_signature
The software is not signed by the release key.
Le logiciel n'est pas signé par la clé de publication.
Do not install it.
Ne pas l'installer.
225 bundle_rollback
The software is older than the one installed.
Le logiciel est plus ancien que celui installé.
Install a newer one.
En installer un plus récent.
226 bundle_board
The software is for another board or role.
Le logiciel est pour une autre carte ou un autre rôle.
Choose the right one.
Choisir le bon.
227 bundle_damaged
The software is incomplete or changed.
Le logiciel est incomplet ou modifié.
Fetch it again.
Le récupérer à nouveau.
228 proof_invalid
A proof in the evidence file does not hold.
Une preuve du dossier ne tient pas.
The file proves nothing; ask for a new one.
Le dossier ne prouve rien ; en demander un nouveau.
229 token_invalid
A time stamp of the evidence file does not verify.
Un horodatage du dossier n'est pas valide.
Renew it before its authority's certificate ends.
Le renouveler avant la fin du certificat de l'autorité.
230 not_evidence
The reading is true to its device but is no evidence for third parties.
La mesure est fidèle à son appareil mais ne fait pas preuve envers un tiers.
Wait for a signed checkpoint under a key made in the device.
Attendre un point de contrôle signé par une clé née dans l'appareil.
231 erased_payload
The evidence names a payload that was erased.
Le dossier nomme un contenu qui a été effacé.
Nothing: the leaf still shows that it existed.
Rien : la feuille montre encore qu'il a existé.
"""

"""Sentences for the reasons of `reasons`: English, French, what to do in both. For hosts only.

TEXTS: {name: (english, french, what to do, que faire)}; REASONS: rows (number, name, and those four) by
number; HOST: {name: number} of the reasons that no device gives. Names are never translated.
"""

from firmware.protocols import reasons, reasons_text_host

# Five lines for each: name; English; French; what to do; que faire.
_TEXT = """\
done
The command was carried out.
La commande est exécutée.
Nothing.
Rien.
failed
The command was accepted but the equipment did not follow.
La commande est acceptée mais l'équipement n'a pas suivi.
Look at the alarms of the device; send a technician if it happens again.
Consulter les alarmes de l'appareil ; envoyer un technicien si cela se répète.
op_unknown
The device does not know this operation.
L'appareil ne connaît pas cette opération.
Compare its software version with the operation asked for.
Comparer sa version logicielle avec l'opération demandée.
op_refused
The device knows this operation but its configuration does not allow it.
L'appareil connaît cette opération mais sa configuration ne la permet pas.
Allow it in the configuration, or use another operation.
L'autoriser dans la configuration, ou employer une autre opération.
op_args
The operation came with wrong arguments.
L'opération est venue avec de mauvais arguments.
Correct the arguments; the wire format page lists them.
Corriger les arguments ; la page du format les énumère.
stale
The command refers to nothing that the device remembers, or came too late.
La commande ne se réfère à rien dont l'appareil se souvienne, ou arrive trop tard.
Send it again as the answer to the next uplink.
La renvoyer en réponse à la prochaine trame montante.
no_clock
The command has an expiry date and the device has no time it may trust.
La commande porte une échéance et l'appareil n'a pas d'heure fiable.
Send TIME first, or refer to an uplink instead of a date.
Envoyer d'abord TIME, ou se référer à une trame montante plutôt qu'à une date.
expired
The expiry of the command has passed.
L'échéance de la commande est passée.
Send a new command.
Envoyer une nouvelle commande.
cseq
The command number is not above the last one that was accepted.
Le numéro de commande ne dépasse pas le dernier accepté.
Take the number from the registry; if a backup was restored, advance its counters.
Prendre le numéro dans le registre ; après restauration d'une sauvegarde, avancer ses compteurs.
local_override
A person on the spot holds the lamp by the maintenance input.
Une personne sur place tient le luminaire par l'entrée de maintenance.
Wait until the work on site is over.
Attendre la fin de l'intervention.
below_floor
The level asked for is below the floor set for this place.
Le niveau demandé est sous le plancher fixé pour ce lieu.
Ask for a level at or above the floor.
Demander un niveau au moins égal au plancher.
below_programme
RAISE may only raise: the level asked for is below the programme.
RAISE ne peut qu'augmenter : le niveau demandé est sous le programme.
Use LIGHT under a command key.
Employer LIGHT avec une clé de commande.
too_often
The operation was used as often as this night allows.
L'opération a été employée autant de fois que la nuit le permet.
Wait for the next night.
Attendre la nuit suivante.
leaf
The frame asked for is gone; its leaf of the hash chain is given instead.
La trame demandée n'existe plus ; sa feuille de la chaîne est donnée à la place.
Nothing: the segment can be verified, the reading itself is lost.
Rien : le segment reste vérifiable, la mesure elle-même est perdue.
forgotten
The device has neither the frame nor its leaf any more.
L'appareil n'a plus ni la trame ni sa feuille.
Acknowledge checkpoints sooner; this segment stays authenticated, not signed.
Acquitter plus tôt les points de contrôle ; ce segment reste authentifié, non signé.
time_too_old
The time given refers to an uplink that is more than 120 s old.
L'heure donnée se rapporte à une trame montante de plus de 120 s.
Answer the next uplink faster.
Répondre plus vite à la prochaine trame montante.
busy
The device cannot do this now.
L'appareil ne peut pas le faire maintenant.
Try again later.
Réessayer plus tard.
storage
A value could not be written safely, so nothing was done.
Une valeur n'a pas pu être écrite sûrement, rien n'a donc été fait.
If it happens again, replace the board: its flash memory wears out.
Si cela se répète, remplacer la carte : sa mémoire flash s'use.
ttl
The validity of the command is outside what is allowed.
La durée de validité de la commande sort de ce qui est permis.
Give 1 to 3600 s, or an expiry within 24 hours.
Donner 1 à 3600 s, ou une échéance dans les 24 heures.
interlock
A safety contact stands against it.
Un contact de sécurité s'y oppose.
Close the hatch or cover, then ask again.
Fermer la trappe ou le capot, puis redemander.
guard
The category of this lighting must be off at that time.
Cette catégorie d'éclairage doit être éteinte à cette heure.
Change the plan, or the category in the settings if the commune has decided otherwise.
Modifier le plan, ou la catégorie dans les réglages si la commune en a décidé autrement.
plan_format
The plan is no plan of a version that this device knows.
Le plan n'est pas d'une version que cet appareil connaît.
Compile it again with the tools of the device's version.
Le recompiler avec les outils de la version de l'appareil.
plan_zone
The time zone of the plan is no POSIX zone with rules of the form M3.5.0.
Le fuseau du plan n'est pas un fuseau POSIX avec des règles de la forme M3.5.0.
Use a text such as CET-1CEST,M3.5.0,M10.5.0/3.
Employer un texte tel que CET-1CEST,M3.5.0,M10.5.0/3.
plan_position
The position in the plan is not on the Earth.
La position du plan n'est pas sur la Terre.
Correct latitude and longitude, in degrees.
Corriger latitude et longitude, en degrés.
plan_program
A program of the plan contradicts itself: times not rising, levels or offsets out of range.
Un programme du plan se contredit : heures non croissantes, niveaux ou décalages hors limites.
Correct the program; the plan of before stays in force.
Corriger le programme ; le plan précédent reste en vigueur.
plan_calendar
A rule of the calendar is impossible or names a program that is not there.
Une règle du calendrier est impossible ou nomme un programme absent.
Correct the rule; the plan of before stays in force.
Corriger la règle ; le plan précédent reste en vigueur.
plan_limit
The plan is larger than the device can hold.
Le plan dépasse ce que l'appareil peut contenir.
Use fewer programs, rules or switch points; docs/guides/lamp.md has the limits.
Réduire programmes, règles ou points de commutation ; docs/guides/lamp.md donne les limites.
plan_gap
A part of the plan arrived without the parts before it.
Une partie du plan est arrivée sans celles qui la précèdent.
Send the plan again from its beginning.
Renvoyer le plan depuis le début.
shedding
Load shedding is in force and RAISE may not undo it.
Un délestage est en cours et RAISE ne peut l'annuler.
Wait for its end, or use LIGHT under a command key.
Attendre sa fin, ou employer LIGHT avec une clé de commande.
truncated
The data ends before the item does.
Les données s'arrêtent avant la fin de l'élément.
Look for loss between radio and file.
Chercher une perte entre la radio et le fichier.
trailing
Bytes follow where the item has ended.
Des octets suivent la fin de l'élément.
Look for the program that appended them.
Chercher le programme qui les a ajoutés.
not_canonical
A number or length is not in its shortest form.
Un nombre ou une longueur n'est pas dans sa forme la plus courte.
No Lanterne device writes this; look for the origin of the frame.
Aucun appareil Lanterne n'écrit ainsi ; chercher l'origine de la trame.
indefinite
An item of indefinite length is not allowed.
Un élément de longueur indéfinie n'est pas permis.
No Lanterne device writes this; look for the origin of the frame.
Aucun appareil Lanterne n'écrit ainsi ; chercher l'origine de la trame.
reserved
A byte has no meaning in CBOR.
Un octet n'a pas de sens en CBOR.
The bytes are damaged or are no CBOR.
Les octets sont abîmés ou ne sont pas du CBOR.
tag_not_allowed
A CBOR tag is not allowed here.
Une étiquette CBOR n'est pas permise ici.
No Lanterne device writes this; look for the origin of the frame.
Aucun appareil Lanterne n'écrit ainsi ; chercher l'origine de la trame.
float_not_allowed
Floating-point numbers are not allowed.
Les nombres à virgule flottante ne sont pas permis.
Scale the value to an integer as the wire format page says.
Mettre la valeur à l'échelle entière selon la page du format.
simple_not_allowed
Of the simple values only false, true and null are allowed.
Parmi les valeurs simples, seuls faux, vrai et nul sont permis.
No Lanterne device writes this; look for the origin of the frame.
Aucun appareil Lanterne n'écrit ainsi ; chercher l'origine de la trame.
bad_utf8
A text is not valid UTF-8.
Un texte n'est pas de l'UTF-8 valide.
The bytes are damaged or were written by something else.
Les octets sont abîmés ou écrits par autre chose.
duplicate_key
A key stands twice in a map.
Une clé figure deux fois dans une table.
No Lanterne device writes this; look for the origin of the frame.
Aucun appareil Lanterne n'écrit ainsi ; chercher l'origine de la trame.
unsorted
The keys of a map are not in order.
Les clés d'une table ne sont pas dans l'ordre.
No Lanterne device writes this; look for the origin of the frame.
Aucun appareil Lanterne n'écrit ainsi ; chercher l'origine de la trame.
bad_key
A map key is not an integer.
Une clé de table n'est pas un entier.
No Lanterne device writes this; look for the origin of the frame.
Aucun appareil Lanterne n'écrit ainsi ; chercher l'origine de la trame.
too_deep
Arrays and maps are nested deeper than any message is.
Tableaux et tables sont imbriqués plus que dans aucun message.
Treat the sender as hostile.
Tenir l'émetteur pour hostile.
too_many
There are more items than any message has.
Il y a plus d'éléments que dans aucun message.
Treat the sender as hostile.
Tenir l'émetteur pour hostile.
too_long
The data is longer than its place allows.
Les données dépassent la place prévue.
Send fewer values at once, or use a faster data rate.
Envoyer moins de valeurs à la fois, ou un débit plus élevé.
not_encodable
A value of this kind has no place in a message.
Une valeur de cette sorte n'a pas place dans un message.
Correct the program that gave it.
Corriger le programme qui l'a donnée.
out_of_range
A value is outside the range of its field.
Une valeur sort de l'étendue de son champ.
Look at the sensor; the wire format page has the ranges.
Examiner le capteur ; la page du format donne les étendues.
unknown_type
The message type is not known to this version.
Ce type de message est inconnu de cette version.
Update the host tools: devices may be newer.
Mettre à jour les outils : les appareils sont peut-être plus récents.
unknown_key
A field is not known to this version.
Un champ est inconnu de cette version.
Update the host tools: devices may be newer.
Mettre à jour les outils : les appareils sont peut-être plus récents.
wrong_shape
A value is of another kind than its field.
Une valeur n'est pas de la sorte de son champ.
Look for the origin of the frame.
Chercher l'origine de la trame.
bad_pad
The filling that gives the message its fixed length is missing or wrong.
Le remplissage qui donne au message sa longueur fixe manque ou est faux.
Look for the origin of the frame.
Chercher l'origine de la trame.
class1_in_clear
A value about people's habits must not leave in a readable frame.
Une valeur sur les habitudes de personnes ne doit pas partir en clair.
Use the profile encrypt0 for this device.
Employer le profil encrypt0 pour cet appareil.
time_twice
A message gives a trusted and an untrusted time at once.
Un message donne à la fois une heure sûre et une heure incertaine.
Look for the origin of the frame.
Chercher l'origine de la trame.
not_cose
The bytes are no COSE frame of ours.
Les octets ne sont pas une de nos trames COSE.
Check port and sender: another device may use the same network.
Vérifier le port et l'émetteur : un autre appareil emploie peut-être ce réseau.
bad_header
The header of the frame holds something that does not belong there.
L'en-tête de la trame contient ce qui n'y a pas sa place.
Look for the origin of the frame.
Chercher l'origine de la trame.
explicit_alg
The frame names its own algorithm, which only the key record may do.
La trame nomme son algorithme, ce que seule la fiche de clé peut faire.
Treat the frame as an attack.
Traiter la trame comme une attaque.
tag_length
The tag or signature has a wrong length.
Le sceau ou la signature n'a pas la bonne longueur.
Look for damage or for a foreign sender.
Chercher une altération ou un émetteur étranger.
wrong_structure
The frame is signed, authenticated or encrypted where its key record says otherwise.
La trame est signée, authentifiée ou chiffrée autrement que ne le dit sa fiche de clé.
Check the profile of the device; else treat the frame as an attack.
Vérifier le profil de l'appareil ; sinon traiter la trame comme une attaque.
bad_tag
The tag does not fit: wrong key, wrong device or changed bytes.
Le sceau ne correspond pas : mauvaise clé, mauvais appareil ou octets modifiés.
Check keys and device; many of these from one place mean interference or an attack.
Vérifier clés et appareil ; beaucoup au même endroit indiquent un brouillage ou une attaque.
bad_signature
The signature does not fit: wrong key, wrong device or changed bytes.
La signature ne correspond pas : mauvaise clé, mauvais appareil ou octets modifiés.
Check keys and device; keep the frame, it may be evidence.
Vérifier clés et appareil ; garder la trame, elle peut servir de preuve.
bad_point
A public key or signature is a degenerate point of the curve.
Une clé publique ou une signature est un point dégénéré de la courbe.
Enrol the device again; treat the key as hostile.
Réenrôler l'appareil ; tenir la clé pour hostile.
unknown_device
No device with this address is in the key ring.
Aucun appareil de cette adresse n'est dans le trousseau.
Add its record to the key ring, or ignore a neighbour's device.
Ajouter sa fiche au trousseau, ou ignorer l'appareil d'un voisin.
unknown_tenant
No owner with this number is in the key ring.
Aucun propriétaire de ce numéro n'est dans le trousseau.
Add the owner's key ring, or ignore a neighbour's device.
Ajouter le trousseau du propriétaire, ou ignorer l'appareil d'un voisin.
wrong_purpose
The frame came on a port that its purpose does not use.
La trame est venue sur un port que son usage n'emploie pas.
Check the carrier's port mapping.
Vérifier la correspondance des ports du réseau.
wrong_port
Nothing of ours travels on this port in this direction.
Rien de nous ne passe par ce port dans ce sens.
Check the sender's port.
Vérifier le port de l'émetteur.
no_key
The key ring has the device but not the key this takes.
Le trousseau connaît l'appareil mais pas la clé qu'il faut.
Ask the owner for a key ring of the right role.
Demander au propriétaire un trousseau du bon rôle.
seq_range
The sequence number is outside what may be used.
Le numéro de séquence sort de ce qui est permis.
Treat the frame as hostile.
Tenir la trame pour hostile.
key_exhausted
All numbers of this key epoch are used.
Tous les numéros de cette époque de clé sont utilisés.
Start a new epoch for the device.
Ouvrir une nouvelle époque pour l'appareil.
replay
This downlink was accepted before.
Cette trame descendante a déjà été acceptée.
Nothing, unless there are many: somebody repeats frames.
Rien, sauf s'il y en a beaucoup : quelqu'un répète des trames.
rate
Too many failed verifications; this one waits.
Trop de vérifications échouées ; celle-ci attend.
Nothing: it is verified when things are quiet. Look for a flood.
Rien : elle sera vérifiée au calme. Chercher une inondation de trames.
wrong_group
The group command is for another group.
La commande de groupe vise un autre groupe.
Check the groups in the device's configuration.
Vérifier les groupes dans la configuration de l'appareil.
bad_nonce
The answer does not belong to the question this device asked.
La réponse ne correspond pas à la question posée par cet appareil.
Wait for the next question of the device.
Attendre la prochaine question de l'appareil.
not_link
The radio frame is no Lanterne link frame.
La trame radio n'est pas une trame de liaison Lanterne.
Nothing: others use the channel.
Rien : d'autres emploient le canal.
link_type
The link frame has a type that nobody defined.
La trame de liaison a un type que personne n'a défini.
Update the receiver, or ignore a foreign sender.
Mettre à jour le récepteur, ou ignorer un émetteur étranger.
link_number
The number in the link header is not the number in the frame.
Le numéro de l'en-tête de liaison n'est pas celui de la trame.
Treat the frame as forged.
Tenir la trame pour contrefaite.
link_mac
The link code of the downlink does not fit.
Le code de liaison de la trame descendante ne correspond pas.
Renew the link key of the gateway; many of these mean a false gateway.
Renouveler la clé de liaison de la passerelle ; beaucoup indiquent une fausse passerelle.
link_address
The downlink is for another address.
La trame descendante vise une autre adresse.
Nothing.
Rien.
bad_fragment
A fragment does not fit the others.
Un fragment ne va pas avec les autres.
Ask for the checkpoint again.
Redemander le point de contrôle.
config
A setting is missing or outside its range.
Un réglage manque ou sort de son étendue.
Provision the device again.
Reprovisionner l'appareil.
airtime
The lawful time on air is used up.
Le temps d'émission légal est épuisé.
Wait; report less often or at a faster data rate.
Attendre ; rapporter moins souvent ou à un débit plus élevé.
radio_quiet
Nothing may start while the receive window is awaited.
Rien ne peut commencer pendant l'attente de la fenêtre de réception.
Nothing: it is tried again.
Rien : c'est réessayé.
no_memory
Memory was short; nothing was sent rather than something unsigned.
La mémoire manquait ; rien n'a été envoyé plutôt que du non signé.
If it happens again, report it with the software version.
Si cela se répète, le signaler avec la version logicielle.
"""


def _blocks(text):
    lines = text.splitlines()
    return [lines[i : i + 5] for i in range(0, len(lines), 5)]


HOST = {}
TEXTS = {}
for _block in _blocks(_TEXT):
    TEXTS[_block[0]] = tuple(_block[1:])
for _block in _blocks(reasons_text_host.TEXT):
    _number, _name = _block[0].split(" ")
    HOST[_name] = int(_number)
    TEXTS[_name] = tuple(_block[1:])

REASONS = tuple(sorted((reasons.number(name), name) + text for name, text in TEXTS.items()))

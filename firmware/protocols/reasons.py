"""Numbers and names of every refusal and outcome. A number, once given, is never used for another.

0..31 outcomes of a command (on the air), 32..63 payloads and CBOR, 64..95 frames, keys, link, own board:
what a device can say. From 96 on what only the host says, in `reasons_text` together with the sentences of
all; no device carries that.
"""

# A number sets the count, each word after it takes the next one; "-" holds the place of a retired name. Each ends
# with a space.
_WORDS = (
    "0 done failed op_unknown op_refused op_args stale no_clock expired cseq local_override below_floor "
    "below_programme too_often leaf forgotten time_too_old busy storage ttl interlock "
    "guard plan_format plan_zone plan_position plan_program plan_calendar plan_limit plan_gap shedding "
    "32 truncated trailing not_canonical indefinite reserved tag_not_allowed float_not_allowed "
    "simple_not_allowed bad_utf8 duplicate_key unsorted bad_key too_deep too_many too_long not_encodable "
    "out_of_range unknown_type unknown_key wrong_shape bad_pad class1_in_clear time_twice "
    "64 not_cose bad_header explicit_alg tag_length wrong_structure bad_tag bad_signature bad_point "
    "unknown_device unknown_tenant wrong_purpose wrong_port no_key seq_range key_exhausted replay rate "
    "wrong_group bad_nonce not_link link_type link_number link_mac link_address bad_fragment config "
    "airtime radio_quiet no_memory "
)


def _walk(number, name):
    # The number of a name, or the name of a number, one word after the other: the list of all would want a
    # long piece of heap.
    count = 0
    end = -1
    while end < len(_WORDS) - 1:
        start = end + 1
        end = _WORDS.find(" ", start)
        word = _WORDS[start:end]
        if word.isdigit():
            count = int(word)
            continue
        if word == name:
            return count
        if count == number and word != "-":
            return word
        count += 1
    return None


def number(name):
    """The number of a reason; KeyError where nobody defined that name."""
    found = _walk(-1, name)
    return _host()[name] if found is None else found


def name(number):
    """The name of a reason, or "reason_<number>" where this build does not know it."""
    found = _walk(number, "")
    if found:
        return found
    for word, count in _host().items():
        if count == number:
            return word
    return "reason_%d" % number


def _host():
    # By name, so that no bundle takes the sentences along.
    try:
        return __import__("firmware.protocols.reasons_text", None, None, ["HOST"]).HOST
    except ImportError:
        return {}

"""When a board says hello: spread, again and again within ten minutes, never at the same moments as others."""

from firmware.roles.greeting import END_MS, moments


def drawn(seed):
    state = [seed]

    def part(ms):
        state[0] = (state[0] * 1103515245 + 12345) & 0x3FFFFFFF
        return (state[0] >> 8 & 0xFFFF) * ms >> 16

    return part


def test_the_first_in_five_minutes_and_five_more_within_ten():
    firsts = []
    for quiet in (0, 35000, 66000, 276000):
        for seed in range(200):
            row = moments(quiet, drawn(seed * 7919))
            assert len(row) == 6 and row == sorted(row)
            assert quiet <= row[0] <= max(300000, quiet) and row[-1] < END_MS - 9000
            # One in each part, so that no two stand in for one.
            step = (590000 - row[0]) // 5
            for i in range(5):
                assert row[0] + i * step <= row[1 + i] < row[0] + (i + 1) * step
            if not quiet:
                firsts.append(row[0] // 60000)
    for minute in range(5):
        assert 20 <= firsts.count(minute) <= 60, "evenly over the spread"


def test_after_a_restart_of_its_task_it_is_not_late_again():
    row = moments(-1000, lambda ms: 0)
    assert row[0] == -1000 and row[1] == -1000
    row = moments(320000, lambda ms: ms - 1)
    assert row[0] <= 320000

"""Time on air against the table that four implementations agree on to 2 us (125 kHz, 8 symbols, CRC, 4/5)."""

from firmware.protocols.airtime import max_payload, time_on_air_us
from tests.mpy.support import raises

# PHY payload bytes: us at SF12, 11, 10, 9, 8, 7 with 125 kHz and SF7 with 250 kHz.
TABLE = (
    (12, 1155072, 577536, 288768, 144384, 82432, 41216, 20608),
    (13, 1155072, 577536, 288768, 164864, 82432, 46336, 23168),
    (17, 1318912, 659456, 329728, 164864, 92672, 51456, 25728),
    (23, 1482752, 823296, 370688, 205824, 113152, 61696, 30848),
    (33, 1810432, 987136, 452608, 246784, 133632, 71936, 35968),
    (51, 2465792, 1314816, 616448, 328704, 184832, 102656, 51328),
    (64, 2793472, 1560576, 698368, 390144, 215552, 118016, 59008),
    (123, 4759552, 2625536, 1189888, 656384, 369152, 205056, 102528),
    (250, 8855552, 4919296, 2254848, 1229824, 686592, 389376, 194688),
)


def test_table():
    for row in TABLE:
        for i in range(6):
            assert time_on_air_us(row[0], 12 - i) == row[1 + i], (row[0], 12 - i)
        assert time_on_air_us(row[0], 7, 250000) == row[7]


def test_without_crc():
    assert time_on_air_us(17, 12, crc=False) == 1155072


def test_sf5_and_sf6():
    # 20 bytes with 12 symbols of preamble, SX126x data sheet 6.1.4.
    assert time_on_air_us(20, 5, preamble=12) == 18240
    assert time_on_air_us(20, 6, preamble=12) == 33920


def test_low_data_rate_optimisation():
    assert time_on_air_us(64, 10) == time_on_air_us(64, 10, ldro=False) < time_on_air_us(64, 10, ldro=True)
    assert time_on_air_us(64, 11) == time_on_air_us(64, 11, ldro=True)
    # A symbol of 16 ms exactly is not over it.
    assert time_on_air_us(64, 11, 128000) == time_on_air_us(64, 11, 128000, ldro=False)
    assert time_on_air_us(64, 12, 250000) == time_on_air_us(64, 12, 250000, ldro=True)


def test_header_and_coding_rate():
    # Implicit header: 20 bits less. 4/8: 3 more symbols in each of the blocks (16 for 51 bytes at SF7).
    assert time_on_air_us(51, 7, explicit=False) <= time_on_air_us(51, 7)
    blocks = (102656 * 4 // 1024 - 49 - 32) // 4 // 5
    assert time_on_air_us(51, 7, cr=8) - time_on_air_us(51, 7) == blocks * 3 * 1024
    assert time_on_air_us(0, 12) > 0


def test_a_fraction_of_a_microsecond_counts_whole():
    assert time_on_air_us(12, 7, 62500) == 2 * time_on_air_us(12, 7)
    exact = 41216 * 125000
    assert time_on_air_us(12, 7, 41700) == (exact + 41699) // 41700


def test_largest_payloads():
    assert [max_payload(sf) for sf in (12, 11, 10, 9, 8, 7)] == [51, 51, 51, 115, 222, 222]
    assert max_payload(5) == max_payload(6) == 222
    raises(IndexError, max_payload, 13)

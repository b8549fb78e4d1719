"""Runs the test functions of files under MicroPython and prints one line for each.

usage: micropython tests/mpy_runner.py FILE...      from the tree's root
"""

import gc
import sys

sys.path.insert(0, ".")


def run(path):
    from tests.mpy.support import Skip

    name = path[:-3].replace("/", ".")
    module = __import__(name, None, None, ["*"])
    failed = 0
    for test in sorted(dir(module)):
        if not test.startswith("test_"):
            continue
        gc.collect()
        try:
            getattr(module, test)()
        except Skip as e:
            print("SKIP", name, test, e)
            continue
        except Exception as e:
            failed += 1
            print("FAIL", name, test)
            sys.print_exception(e, sys.stdout)
            continue
        print("PASS", name, test)
    return failed


if __name__ == "__main__":
    sys.exit(1 if sum([run(p) for p in sys.argv[1:]]) else 0)

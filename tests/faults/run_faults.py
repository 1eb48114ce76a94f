"""One test per fault: a clear error in Chroma's shape or a clean close, nothing hangs, nothing
leaks, the next request works. Started by tests/faults/run.
"""

import sys
import unittest

from test_backend_faults import BackendFaults, BackendHealth
from test_client_faults import ClientFaults
from test_operation import Bench, Operation


def main(names):
    suite = unittest.TestSuite()
    for case in (BackendFaults, BackendHealth, ClientFaults, Operation, Bench):
        for test in unittest.defaultTestLoader.loadTestsFromTestCase(case):
            name = test.id().partition(".")[2]  # without the file's
            if not names or any(part in name for part in names):
                suite.addTest(test)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    failed = len(result.failures) + len(result.errors)
    skipped = f", {len(result.skipped)} skipped" if result.skipped else ""
    print(f"{result.testsRun - failed - len(result.skipped)} passed, {failed} failed{skipped}")
    return 1 if failed or result.testsRun == 0 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

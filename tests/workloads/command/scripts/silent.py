"""Never reports a number."""

import time

while True:
    time.sleep(0.05)

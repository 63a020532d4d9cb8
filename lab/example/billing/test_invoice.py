"""python3 -m unittest test_invoice: no service needed."""

import unittest

from invoice import faults


class FaultsTest(unittest.TestCase):
    def test_a_whole_invoice_has_none(self) -> None:
        self.assertEqual(faults({"customer": "Ada", "cents": 1, "request": "a-1"}), [])

    def test_all_of_them_come_at_once(self) -> None:
        found = faults({"customer": " ", "cents": True, "request": "a b", "colour": "red"})
        self.assertEqual([fault.split(":")[0] for fault in found], ["colour", "customer", "cents", "request"])

    def test_text_is_no_invoice(self) -> None:
        self.assertEqual(faults("invoice"), ["the body must be a JSON object"])


if __name__ == "__main__":
    unittest.main()

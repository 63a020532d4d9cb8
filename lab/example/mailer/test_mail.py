"""python3 -m unittest test_mail: no service needed."""

import email
import email.policy
import unittest

from mail import faults, render

MAIL = {"to": "ada@example.com", "subject": "Grüße", "text": "Zeile\n"}


class FaultsTest(unittest.TestCase):
    def test_a_whole_request_has_none(self) -> None:
        self.assertEqual(faults(MAIL), [])

    def test_all_of_them_come_at_once(self) -> None:
        found = faults({"to": "ada", "subject": "a\nBcc: all@example.com", "text": "", "cc": "x"})
        self.assertEqual([fault.split(":")[0] for fault in found], ["cc", "to", "subject", "text"])


class RenderTest(unittest.TestCase):
    def test_subject_and_text_survive_and_the_identity_is_the_message_id(self) -> None:
        mail = email.message_from_bytes(render(MAIL, "abc"), policy=email.policy.default)
        self.assertEqual(mail["Subject"], "Grüße")
        self.assertEqual(mail["Message-ID"], "<abc@mailer.invalid>")
        self.assertEqual(mail.get_content().splitlines(), ["Zeile"])


if __name__ == "__main__":
    unittest.main()

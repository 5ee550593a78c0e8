"""The calls and the messages of scripts/deploy/deploy.sh --check."""

import unittest

from fake_aws import Account

import ready
from stack import SECRETS, Failure


class Ready(unittest.TestCase):
    def test_a_secret_without_a_value_is_named_and_no_value_is_read(self):
        account = Account()
        ready.secrets(account.stack())
        for versions in ({}, {"v": ["AWSPREVIOUS"]}):
            account.secrets[SECRETS["worker"]] = versions
            with self.assertRaisesRegex(Failure, "the secret of worker .* is empty"):
                ready.secrets(account.stack())
        self.assertEqual({name for name, _ in account.calls}, {"describe_stacks", "describe_secret"})

    def test_readiness_is_asked_of_the_version_that_serves(self):
        account = Account()
        account.readiness = {"ready": False, "failing": ["table"]}
        self.assertEqual(ready.look(account.stack()), (["table"], None))
        account.readiness = {"ready": True, "failing": [], "heartbeat": {"at": "2026-11-29T00:44:31.000Z"}}
        failing, beat = ready.look(account.stack())
        self.assertEqual((failing, beat.minute), ([], 44))

    def test_a_function_that_is_throttled_is_asked_again(self):
        account = Account()
        account.readiness = None
        self.assertEqual(ready.look(account.stack()), (["throttled"], None))
        self.assertIn("concurrency is used up", ready.explain(account.stack(), "throttled"))


if __name__ == "__main__":
    unittest.main()

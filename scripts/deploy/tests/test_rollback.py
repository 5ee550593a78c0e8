"""What scripts/deploy/rollback.sh does in each state that a deployment may be in."""

import contextlib
import io
import unittest

from fake_aws import Account

import rollback
from stack import Failure


def roll_back(account, *arguments):
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        rollback.roll_back(account.stack(), rollback.wanted(arguments))
    return said.getvalue()


def lives(account, role="worker"):
    return account.aliases[role]["live"]


class Rollback(unittest.TestCase):
    def refused(self, account, *arguments):
        before = {role: dict(aliases) for role, aliases in account.aliases.items()}
        with self.assertRaises(Failure) as raised:
            roll_back(account, *arguments)
        self.assertEqual(account.aliases, before, "nothing was moved")
        self.assertEqual(account.asked("stop_deployment"), [])
        return str(raised.exception)

    def test_it_goes_to_the_version_that_the_live_one_took_the_place_of(self):
        for form in ("json", "yaml"):
            account = Account()
            account.publish("worker", 3, 4, 5, live=5)
            account.shift("worker", 3, 4, "Succeeded", form)
            account.shift("worker", 4, 5, "Succeeded", form)
            self.assertIn("live 5 -> 4", roll_back(account, "worker"))
            self.assertEqual(lives(account), (4, {}))

    def test_a_version_that_failed_its_canary_is_passed_over(self):
        account = Account()
        account.publish("worker", 4, 5, 6, live=6)
        account.shift("worker", 4, 5, "Failed")
        account.shift("worker", 5, 4, "Succeeded")
        account.shift("worker", 4, 6, "Succeeded")
        roll_back(account, "worker")
        self.assertEqual(lives(account), (4, {}))

    def test_after_a_failed_canary_newer_than_live_it_goes_back_from_live(self):
        account = Account()
        account.publish("worker", 4, 5, 6, live=5)
        account.shift("worker", 4, 5, "Succeeded")
        account.shift("worker", 5, 6, "Stopped")
        # A rollback by CodeDeploy is a deployment as well.
        account.shift("worker", 6, 5, "Succeeded")
        roll_back(account, "worker")
        self.assertEqual(lives(account), (4, {}))

    def test_a_running_canary_is_stopped_and_nothing_is_moved(self):
        for status in ("Created", "Queued", "InProgress", "Baking", "Ready"):
            account = Account()
            account.publish("worker", 4, 5, 6, live=5)
            account.aliases["worker"]["live"] = (5, {"6": 0.1})
            account.shift("worker", 4, 5, "Succeeded")
            running = account.shift("worker", 5, 6, status)
            said = roll_back(account, "worker")
            self.assertEqual(account.asked("stop_deployment"), [{"deploymentId": running, "autoRollbackEnabled": True}])
            self.assertEqual(account.asked("update_alias"), [], "CodeDeploy moves the alias back, and the script does not race it")
            self.assertIn(running, said)

    def test_with_one_canary_running_the_functions_that_are_through_are_left_to_cloudformation(self):
        account = Account()
        for role in ("worker", "sweep"):
            account.publish(role, 4, 5, live=5)
        account.shift("worker", 4, 5, "Succeeded")
        account.shift("sweep", 4, 5, "InProgress")
        account.status = "UPDATE_IN_PROGRESS"
        roll_back(account, "worker", "sweep")
        self.assertEqual(len(account.asked("stop_deployment")), 1)
        self.assertEqual(account.asked("update_alias"), [])

    def test_an_update_under_way_without_a_canary_is_not_raced(self):
        account = Account(canary=False)
        account.publish("worker", 4, 5, live=5)
        account.note("worker", 4, live=5)
        account.status = "UPDATE_IN_PROGRESS"
        self.assertIn("cancel-update-stack", self.refused(account, "worker"))
        account.status = "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"
        roll_back(account, "worker")
        self.assertEqual(lives(account), (4, {}))

    def test_before_the_first_version_there_is_nothing(self):
        said = self.refused(Account(), "worker")
        self.assertIn("no version before 1", said)

    def test_one_function_that_cannot_go_back_keeps_all_where_they_are(self):
        account = Account()
        for role in ("edge-auth", "worker", "status", "sweep"):
            account.publish(role, 1, 2, live=2)
            account.shift(role, 1, 2, "Succeeded")
        self.assertIn("operator has no version before", self.refused(account))
        account.publish("operator", 1, 2, live=2)
        account.shift("operator", 1, 2, "Succeeded")
        roll_back(account)
        for role in account.aliases:
            self.assertEqual(lives(account, role), (1, {}), role)

    def test_without_a_canary_the_alias_before_says_what_was_live(self):
        account = Account(canary=False)
        # 5 was published by a deployment that failed, and was never live.
        account.publish("worker", 4, 5, 6, live=6)
        account.note("worker", 4, live=6)
        roll_back(account, "worker")
        self.assertEqual(lives(account), (4, {}))

    def test_a_deployment_by_hand_makes_the_alias_before_outdated(self):
        account = Account(canary=False)
        account.publish("worker", 3, 4, 5, live=5)
        account.note("worker", 3, live=4)
        self.assertIn("not known which version was live before 5", self.refused(account, "worker"))

    def test_an_alias_that_was_moved_by_hand_to_a_version_that_nobody_deployed(self):
        account = Account()
        account.publish("worker", 4, 5, 7, live=7)
        account.shift("worker", 4, 5, "Succeeded")
        said = self.refused(account, "worker")
        self.assertIn("not known which version was live before 7", said)
        self.assertIn("of 4, 5", said)
        roll_back(account, "worker=5")
        self.assertEqual(lives(account), (5, {}))

    def test_an_alias_that_was_moved_back_by_hand_goes_further_back(self):
        account = Account()
        account.publish("worker", 3, 4, 5, live=4)
        account.shift("worker", 3, 4, "Succeeded")
        account.shift("worker", 4, 5, "Succeeded")
        account.note("worker", 4, live=5)
        roll_back(account, "worker")
        self.assertEqual(lives(account), (3, {}))

    def test_weights_that_nobody_shifts_any_more_are_taken_away(self):
        account = Account()
        account.publish("worker", 4, 5, live=4)
        account.aliases["worker"]["live"] = (4, {"5": 0.5})
        roll_back(account, "worker")
        self.assertEqual(lives(account), (4, {}))

    def test_a_version_that_is_named_has_to_be_there_and_not_to_have_failed(self):
        account = Account()
        account.publish("worker", 4, 5, 6, live=6)
        account.shift("worker", 4, 5, "Failed")
        account.shift("worker", 4, 6, "Succeeded")
        self.assertIn("version 5 failed as a canary", self.refused(account, "worker=5"))
        self.assertIn("no version 9", self.refused(account, "worker=9"))
        self.assertIn("no function wroker", self.refused(account, "wroker"))
        self.assertIn("a version is a number", self.refused(account, "worker=newest"))

    def test_a_version_that_failed_once_and_went_through_later_has_been_live(self):
        account = Account()
        account.publish("worker", 4, 5, 6, live=6)
        account.shift("worker", 4, 5, "Failed")
        account.shift("worker", 4, 5, "Succeeded")
        account.shift("worker", 5, 6, "Succeeded")
        roll_back(account, "worker")
        self.assertEqual(lives(account), (5, {}))


if __name__ == "__main__":
    unittest.main()

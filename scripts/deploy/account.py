"""Checks of the account, and settings of the whole stack."""

# Below this, held polls and workers compete for invocations. New accounts often have 10.
ENOUGH = 100


def warn_of_concurrency(stack):
    """Prints a note when the account may run too few functions at once; the deployment continues."""
    limit = stack.client("lambda").get_account_settings()["AccountLimit"]["ConcurrentExecutions"]
    if limit < ENOUGH:
        print(
            f"  note: this account may run {limit} functions at once in {stack.session.region_name}; 5 workers and a handful of clients use that up, "
            "and requests are then answered 5xx or late. Ask for more: aws service-quotas request-service-quota-increase --service-code lambda "
            "--quota-code L-B99A9384 --desired-value 1000. Until then give MaximumConcurrency=2, and leave LongPollMaxS at 0",
            flush=True,
        )


def protect(stack):
    """Protects the stack from deletion by mistake: `sam delete` is refused until the protection is removed."""
    stack.client("cloudformation").update_termination_protection(StackName=stack.name, EnableTerminationProtection=True)

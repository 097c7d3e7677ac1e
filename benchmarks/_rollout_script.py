"""What every side of `rollout.py` plays, as plain data: peers read it in environments of their own.

A task names two accounts; the tool `balance` tells what is on one. The written agent asks for both, one a turn, and
says the sum: three completions, two tool calls. No two tasks share an account, so that nothing can be remembered from
one episode to the next but what is the same in every environment: its system message and its tools.
"""

import json
from typing import Any

SYSTEM = "You are a careful clerk. Look every balance up before you answer."
THOUGHTS = ("I need the first balance.", "Now the second one.", "Both are known; I add them.")


def balance(account: str) -> str:
    """How much is on an account."""
    return str(int(account.removeprefix("acc-")) * 7919 % 10007)


def pair(number: int) -> tuple[str, str]:
    """The accounts of task `number`."""
    return f"acc-{2 * number}", f"acc-{2 * number + 1}"


def question(accounts: tuple[str, str]) -> str:
    """What the task asks."""
    return f"How much is on the accounts {accounts[0]} and {accounts[1]} together? Answer with the number alone."


def answer(accounts: tuple[str, str]) -> str:
    """What the agent shall say in the end."""
    return str(sum(int(balance(account)) for account in accounts))


def completions(accounts: tuple[str, str]) -> list[dict[str, Any]]:
    """The agent's messages, in OpenAI's form."""
    asked = [{"name": "balance", "arguments": json.dumps({"account": account})} for account in accounts]
    calls = [[{"id": f"call_{index}", "type": "function", "function": call}] for index, call in enumerate(asked)]
    turns = [(THOUGHTS[0], "", calls[0]), (THOUGHTS[1], "", calls[1]), (THOUGHTS[2], answer(accounts), None)]
    return [
        {"role": "assistant", "reasoning_content": thought, "content": said} | ({"tool_calls": made} if made else {})
        for thought, said, made in turns
    ]

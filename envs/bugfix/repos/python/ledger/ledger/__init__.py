"""Accounts in whole cents: a ledger with fees and interest, and loans."""

from ledger.accounts import Account, Bank
from ledger.loans import payment_plan, split_bill

__all__ = ["Account", "Bank", "payment_plan", "split_bill"]

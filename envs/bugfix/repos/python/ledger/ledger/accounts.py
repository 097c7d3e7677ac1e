"""Accounts and transfers. All amounts are whole cents."""


class Account:
    """A balance that may go below zero by at most its overdraft, and its history of (what, amount)."""

    def __init__(self, owner, balance=0, overdraft=0):
        self.owner = owner
        self.balance = balance
        self.overdraft = overdraft
        self.history = []

    def available(self):
        """What can still be taken out."""
        return self.balance + self.overdraft

    def deposit(self, amount, what="deposit"):
        """Put money in; ValueError unless the amount is positive."""
        if amount <= 0:
            raise ValueError("amount must be positive")
        self.balance += amount
        self.history.append((what, amount))

    def withdraw(self, amount, what="withdrawal"):
        """Take money out; ValueError unless the amount is positive and available."""
        if amount <= 0:
            raise ValueError("amount must be positive")
        if amount > self.available():
            raise ValueError(f"{self.owner} has only {self.available()} available")
        self.balance -= amount
        self.history.append((what, -amount))

    def statement(self, opening=0):
        """The history with the balance after each line, beginning from an opening balance."""
        lines = []
        running = opening
        for what, amount in self.history:
            running += amount
            lines.append((what, amount, running))
        return lines


class Bank:
    """Accounts by name, with a fee on transfers and yearly interest."""

    def __init__(self, fee=0, free_from=None):
        self.fee = fee
        self.free_from = free_from
        self.collected = 0
        self.accounts = {}

    def open(self, owner, balance=0, overdraft=0):
        """Open an account; ValueError when the name is taken."""
        if owner in self.accounts:
            raise ValueError(f"{owner} has an account already")
        self.accounts[owner] = Account(owner, balance, overdraft)
        return self.accounts[owner]

    def transfer(self, source, target, amount):
        """Move money; the sender also pays the fee, unless the amount reaches free_from. Nothing moves on an error."""
        if source == target:
            raise ValueError("source and target are the same")
        sender, receiver = self.accounts[source], self.accounts[target]
        fee = 0 if self.free_from is not None and amount >= self.free_from else self.fee
        if amount + fee > sender.available():
            raise ValueError(f"{source} cannot pay {amount} and a fee of {fee}")
        sender.withdraw(amount, f"to {target}")
        receiver.deposit(amount, f"from {source}")
        if fee > 0:
            sender.withdraw(fee, "fee")
            self.collected += fee

    def interest(self, percent, penalty=0):
        """Pay a year's interest on balances above zero, charge penalty percent on those below; rounded towards zero.

        Returns what the bank paid less what it charged.
        """
        paid = 0
        for account in self.accounts.values():
            rate = percent if account.balance > 0 else penalty
            amount = abs(account.balance) * rate // 100
            if amount == 0:
                continue
            if account.balance < 0:
                amount = -amount
            account.balance += amount
            account.history.append(("interest", amount))
            paid += amount
        return paid

    def richest(self, count=1):
        """The owners with the highest balances, highest first; equal ones by name."""
        ranked = sorted(self.accounts, key=lambda owner: (-self.accounts[owner].balance, owner))
        return ranked[:count]

import unittest

from ledger import Account, Bank, payment_plan, split_bill


class TestAccounts(unittest.TestCase):
    def test_deposit_and_withdraw(self):
        account = Account("ann", 100)
        account.deposit(50)
        account.withdraw(30)
        self.assertEqual(account.balance, 120)

    def test_not_enough(self):
        with self.assertRaises(ValueError):
            Account("ann", 10).withdraw(50)

    def test_transfer(self):
        bank = Bank()
        ann, bob = bank.open("ann", 100), bank.open("bob")
        bank.transfer("ann", "bob", 40)
        self.assertEqual((ann.balance, bob.balance), (60, 40))

    def test_interest(self):
        bank = Bank()
        bank.open("ann", 1000)
        self.assertEqual(bank.interest(5), 50)


class TestLoans(unittest.TestCase):
    def test_plan(self):
        self.assertEqual(payment_plan(100, 60, 0), [(0, 60, 40), (0, 40, 0)])

    def test_split(self):
        self.assertEqual(split_bill(90, [1, 2]), [30, 60])

import unittest

from ledger import Account, Bank, payment_plan, split_bill


class TestAccountsMore(unittest.TestCase):
    def test_amounts_are_positive(self):
        account = Account("ann", 10)
        for amount in (0, -5):
            with self.assertRaises(ValueError):
                account.deposit(amount)
            with self.assertRaises(ValueError):
                account.withdraw(amount)
        account.deposit(1)
        account.withdraw(1)
        self.assertEqual((account.balance, account.history), (10, [("deposit", 1), ("withdrawal", -1)]))

    def test_overdraft(self):
        account = Account("ann", 10, overdraft=5)
        self.assertEqual(account.available(), 15)
        account.withdraw(15)
        self.assertEqual((account.balance, account.available()), (-5, 0))
        with self.assertRaisesRegex(ValueError, "ann has only 0 available"):
            account.withdraw(1)

    def test_starts_empty(self):
        account = Bank().open("ann")
        self.assertEqual((account.balance, account.overdraft, Account("bob").available()), (0, 0, 0))

    def test_statement(self):
        account = Account("ann", 100)
        account.deposit(7, "gift")
        account.withdraw(20)
        self.assertEqual(account.statement(), [("gift", 7, 7), ("withdrawal", -20, -13)])
        self.assertEqual(account.statement(opening=100)[-1], ("withdrawal", -20, 87))


class TestBankMore(unittest.TestCase):
    def setUp(self):
        self.bank = Bank(fee=3, free_from=50)
        self.ann = self.bank.open("ann", 100, overdraft=20)
        self.bob = self.bank.open("bob", 5)

    def test_names_are_taken(self):
        with self.assertRaises(ValueError):
            self.bank.open("ann")

    def test_fee(self):
        self.bank.transfer("ann", "bob", 49)
        self.assertEqual((self.ann.balance, self.bob.balance, self.bank.collected), (48, 54, 3))
        self.assertEqual(self.ann.history, [("to bob", -49), ("fee", -3)])
        self.assertEqual(self.bob.history, [("from ann", 49)])

    def test_free_from(self):
        self.bank.transfer("ann", "bob", 50)
        self.bank.transfer("ann", "bob", 60)
        self.assertEqual((self.ann.balance, self.bank.collected), (-10, 0))

    def test_fee_must_be_payable(self):
        with self.assertRaises(ValueError):
            self.bank.transfer("bob", "ann", 3)
        self.assertEqual((self.ann.balance, self.bob.balance, self.bob.history), (100, 5, []))
        self.bank.transfer("bob", "ann", 2)
        self.assertEqual((self.bob.balance, self.bank.collected), (0, 3))

    def test_fees_add_up(self):
        for _ in range(3):
            self.bank.transfer("ann", "bob", 1)
        self.assertEqual(self.bank.collected, 9)

    def test_bank_without_fee(self):
        bank = Bank()
        bank.open("a", 5)
        bank.open("b")
        bank.transfer("a", "b", 5)
        self.assertEqual((bank.collected, len(bank.accounts["a"].history)), (0, 1))

    def test_small_fee(self):
        bank = Bank(fee=1)
        bank.open("a", 500)
        bank.open("b")
        bank.transfer("a", "b", 200)
        self.assertEqual((bank.accounts["a"].balance, bank.collected), (299, 1))

    def test_bad_transfers(self):
        with self.assertRaises(ValueError):
            self.bank.transfer("ann", "ann", 1)
        with self.assertRaises(ValueError):
            self.bank.transfer("ann", "bob", 0)
        with self.assertRaises(KeyError):
            self.bank.transfer("ann", "eve", 1)

    def test_interest(self):
        eve = self.bank.open("eve", -55)
        self.bank.open("dan", 19)
        self.assertEqual(self.bank.interest(10, penalty=20), 10 + 0 - 11 + 1)
        self.assertEqual((self.ann.balance, self.bob.balance, eve.balance), (110, 5, -66))
        self.assertEqual((self.ann.history, self.bob.history), ([("interest", 10)], []))
        self.assertEqual(eve.history, [("interest", -11)])

    def test_no_penalty_by_default(self):
        self.bank.open("eve", -500)
        self.assertEqual(self.bank.interest(1), 1)

    def test_interest_of_one_cent(self):
        bank = Bank()
        bank.open("a", 1)
        self.assertEqual(bank.interest(100), 1)

    def test_richest(self):
        self.bank.open("abe", 100)
        self.assertEqual(self.bank.richest(), ["abe"])
        self.assertEqual(self.bank.richest(2), ["abe", "ann"])
        self.assertEqual(self.bank.richest(9), ["abe", "ann", "bob"])


class TestLoansMore(unittest.TestCase):
    def test_interest_is_rounded(self):
        self.assertEqual(payment_plan(150, 60, 1), [(2, 58, 92), (1, 59, 33), (0, 33, 0)])
        self.assertEqual(payment_plan(149, 200, 1), [(1, 149, 0)])

    def test_last_payment(self):
        self.assertEqual(payment_plan(100, 50, 0)[-1], (0, 50, 0))
        self.assertEqual(payment_plan(101, 50, 0)[-1], (0, 1, 0))
        self.assertEqual(payment_plan(1, 1, 0), [(0, 1, 0)])
        self.assertEqual(payment_plan(0, 5, 10), [])

    def test_payment_too_small(self):
        for payment in (9, 10):
            with self.assertRaisesRegex(ValueError, "cover the interest"):
                payment_plan(100, payment, 10)
        self.assertEqual(payment_plan(100, 11, 10)[0], (10, 1, 99))

    def test_limit(self):
        self.assertEqual(len(payment_plan(600, 1, 0)), 600)
        with self.assertRaises(ValueError):
            payment_plan(601, 1, 0)
        self.assertEqual(len(payment_plan(4, 2, 0, limit=2)), 2)
        with self.assertRaises(ValueError):
            payment_plan(5, 2, 0, limit=2)

    def test_split_cents(self):
        self.assertEqual(split_bill(100, [1, 1, 1]), [34, 33, 33])
        self.assertEqual(split_bill(101, [1, 1, 1]), [34, 34, 33])
        self.assertEqual(split_bill(10, [1, 5]), [2, 8])
        self.assertEqual(split_bill(7, [0, 1]), [0, 7])

    def test_split_tip(self):
        self.assertEqual(split_bill(101, [1], tip=10), [112])
        self.assertEqual(split_bill(100, [1, 1], tip=10), [55, 55])

    def test_bad_weights(self):
        for weights in ([0, 0], [3, -1], [-1, 1]):
            with self.assertRaises(ValueError):
                split_bill(10, weights)

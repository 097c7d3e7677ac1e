"""Loans and shared bills in whole cents."""


def payment_plan(debt, payment, percent, limit=600):
    """Months of a loan as (interest, repaid, left); interest is percent of what is left per month, rounded half up.

    The last payment is only what is still owed. ValueError when the payment does not cover the first interest, or when
    limit months are not enough.
    """
    plan = []
    left = debt
    while left > 0:
        interest = (left * percent + 50) // 100
        if payment <= interest:
            raise ValueError("the payment does not even cover the interest")
        if len(plan) >= limit:
            raise ValueError(f"not paid back within {limit} months")
        repaid = min(payment - interest, left)
        left -= repaid
        plan.append((interest, repaid, left))
    return plan


def split_bill(total, weights, tip=0):
    """Share a bill and its tip (percent, rounded up) by weights; the cents sum up exactly.

    Everybody pays the rounded down share; missing cents go one each to those with the largest remainders, the earlier
    first where they are equal.
    """
    whole = sum(weights)
    if whole <= 0 or min(weights) < 0:
        raise ValueError("weights must not be negative, and one must be positive")
    amount = total + -(-total * tip // 100)
    shares = [amount * weight // whole for weight in weights]
    remainders = [amount * weight % whole for weight in weights]
    missing = amount - sum(shares)
    order = sorted(range(len(weights)), key=lambda index: (-remainders[index], index))
    for index in order[:missing]:
        shares[index] += 1
    return shares

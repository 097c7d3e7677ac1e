package money;

import java.util.ArrayList;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;

/** Lines with taxes; a discount on the whole is spread over the lines in proportion, so that taxes come out right. */
public final class Invoice {
    /** So many things at a net price each, with a tax in per cent ("19"). */
    public record Line(String text, long count, Money price, String tax) {
        /** Count times price. */
        public Money net() {
            return price.times(count);
        }
    }

    private final List<Line> lines = new ArrayList<>();
    private final Money.Currency currency;
    private Money discount;

    public Invoice(Money.Currency currency) {
        this.currency = currency;
        discount = Money.zero(currency);
    }

    /** @throws IllegalArgumentException for a count below 1, a negative price or another currency */
    public Invoice add(String text, long count, Money price, String tax) {
        if (count < 1 || price.isNegative() || !price.currency().equals(currency)) {
            throw new IllegalArgumentException("no line: " + count + " of " + price);
        }
        lines.add(new Line(text, count, price, tax));
        return this;
    }

    /** Takes an amount off the net sum, in place of an earlier discount. @throws IllegalArgumentException if it is negative */
    public Invoice discount(Money amount) {
        if (amount.isNegative()) {
            throw new IllegalArgumentException("a negative discount: " + amount);
        }
        discount = Money.zero(currency).plus(amount);
        return this;
    }

    /** The sum of all lines before discount and taxes. */
    public Money subtotal() {
        return sum(lines.stream().map(Line::net).toList());
    }

    /** What is taken off: the discount, but never more than the subtotal. */
    public Money reduction() {
        return discount.compareTo(subtotal()) < 0 ? discount : subtotal();
    }

    /** The net amount of every line after its share of the discount. */
    public List<Money> nets() {
        long[] weights = lines.stream().mapToLong(line -> line.net().units()).toArray();
        if (reduction().units() == 0) {
            return lines.stream().map(Line::net).toList();
        }
        List<Money> shares = reduction().allocate(weights);
        List<Money> nets = new ArrayList<>();
        for (int i = 0; i < lines.size(); i++) {
            nets.add(lines.get(i).net().minus(shares.get(i)));
        }
        return nets;
    }

    /** The tax for each rate, by rate in the order of their text; each is rounded once, on the sum of its lines. */
    public SortedMap<String, Money> taxes() {
        SortedMap<String, Money> bases = new TreeMap<>();
        List<Money> nets = nets();
        for (int i = 0; i < lines.size(); i++) {
            bases.merge(lines.get(i).tax(), nets.get(i), Money::plus);
        }
        bases.replaceAll((rate, base) -> base.percent(rate));
        return bases;
    }

    /** What is to be paid. */
    public Money total() {
        return subtotal().minus(reduction()).plus(sum(taxes().values()));
    }

    private Money sum(Iterable<Money> amounts) {
        Money sum = Money.zero(currency);
        for (Money amount : amounts) {
            sum = sum.plus(amount);
        }
        return sum;
    }
}

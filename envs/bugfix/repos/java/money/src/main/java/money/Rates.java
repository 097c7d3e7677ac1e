package money;

import java.math.BigDecimal;
import java.math.MathContext;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Queue;
import java.util.TreeMap;

/** Rates of exchange. A rate in one direction serves the other one too, and rates are chained where there is none. */
public final class Rates {
    private final Map<Money.Currency, Map<Money.Currency, BigDecimal>> rates = new HashMap<>();

    /**
     * Sets what one unit of the first currency (a whole one, 1 EUR) is worth in the second.
     *
     * @throws IllegalArgumentException if the rate is not positive or the currencies are the same
     */
    public Rates set(Money.Currency from, Money.Currency to, String rate) {
        BigDecimal value = new BigDecimal(rate);
        if (value.signum() <= 0 || from.equals(to)) {
            throw new IllegalArgumentException("no rate from " + from.code() + " to " + to.code() + ": " + rate);
        }
        put(from, to, value);
        put(to, from, BigDecimal.ONE.divide(value, MathContext.DECIMAL64));
        return this;
    }

    /**
     * The rate between two currencies, over as few others as possible (of equally short ways, the one whose currencies come
     * first in the alphabet).
     *
     * @throws NoSuchElementException if no chain of rates leads there
     */
    public BigDecimal rate(Money.Currency from, Money.Currency to) {
        Map<Money.Currency, BigDecimal> found = new HashMap<>(Map.of(from, BigDecimal.ONE));
        Queue<Money.Currency> open = new ArrayDeque<>(found.keySet());
        while (!open.isEmpty() && !found.containsKey(to)) {
            Money.Currency at = open.remove();
            rates.getOrDefault(at, Map.of()).forEach((next, rate) -> {
                if (!found.containsKey(next)) {
                    found.put(next, found.get(at).multiply(rate, MathContext.DECIMAL64));
                    open.add(next);
                }
            });
        }
        if (!found.containsKey(to)) {
            throw new NoSuchElementException("no rate from " + from.code() + " to " + to.code());
        }
        return found.get(to);
    }

    /** An amount in another currency, halves rounded to the even unit; places may differ. */
    public Money exchange(Money amount, Money.Currency to) {
        BigDecimal rate = rate(amount.currency(), to);
        BigDecimal scaled = rate.movePointRight(to.places() - amount.currency().places());
        return new Money(new Money(amount.units(), to).times(scaled).units(), to);
    }

    private void put(Money.Currency from, Money.Currency to, BigDecimal rate) {
        rates.computeIfAbsent(from, key -> new TreeMap<>(java.util.Comparator.comparing(Money.Currency::code))).put(to, rate);
    }
}

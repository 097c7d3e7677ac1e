package money;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** An exact amount, counted in the smallest unit of its currency. */
public record Money(long units, Currency currency) implements Comparable<Money> {
    /** A currency: its code of three capital letters and how many decimal places its amounts have. */
    public record Currency(String code, int places) {
        public static final Currency EUR = new Currency("EUR", 2);
        public static final Currency JPY = new Currency("JPY", 0);
        public static final Currency KWD = new Currency("KWD", 3);

        /** @throws IllegalArgumentException for a code that is none, or places outside of 0 to 4 */
        public Currency {
            if (!code.matches("[A-Z]{3}") || places < 0 || places > 4) {
                throw new IllegalArgumentException("no currency: " + code + " with " + places + " places");
            }
        }

    }

    private static final Pattern TEXT = Pattern.compile("(-?)(\\d{1,3}(?:,\\d{3})+|\\d+)(?:\\.(\\d+))?");

    /**
     * An amount such as "1,234.50", "-3" or "0.5" (fewer places are filled up).
     *
     * @throws IllegalArgumentException for other text, or more places than the currency has
     */
    public static Money parse(String text, Currency currency) {
        Matcher matcher = TEXT.matcher(text);
        if (!matcher.matches()) {
            throw new IllegalArgumentException("no amount: '" + text + "'");
        }
        String fraction = matcher.group(3) == null ? "" : matcher.group(3);
        if (fraction.length() > currency.places()) {
            throw new IllegalArgumentException(currency.code() + " has no " + fraction.length() + " places: '" + text + "'");
        }
        String digits = matcher.group(2).replace(",", "") + fraction + "0".repeat(currency.places() - fraction.length());
        return new Money(Long.parseLong(matcher.group(1) + digits), currency);
    }

    /** Nothing, in a currency. */
    public static Money zero(Currency currency) {
        return new Money(0, currency);
    }

    /** @throws IllegalArgumentException for another currency @throws ArithmeticException beyond 64 bits */
    public Money plus(Money other) {
        return new Money(Math.addExact(units, same(other).units), currency);
    }

    /** @throws IllegalArgumentException for another currency @throws ArithmeticException beyond 64 bits */
    public Money minus(Money other) {
        return new Money(Math.subtractExact(units, same(other).units), currency);
    }

    /** So many times this. @throws ArithmeticException beyond 64 bits */
    public Money times(long count) {
        return new Money(Math.multiplyExact(units, count), currency);
    }

    /** This times a factor, halves rounded to the even unit. */
    public Money times(BigDecimal factor) {
        BigDecimal exact = BigDecimal.valueOf(units).multiply(factor);
        return new Money(exact.setScale(0, RoundingMode.HALF_EVEN).longValueExact(), currency);
    }

    /** So many hundredths of this, halves rounded to the even unit. */
    public Money percent(String percent) {
        return times(new BigDecimal(percent).movePointLeft(2));
    }

    public Money negated() {
        return times(-1);
    }

    public boolean isNegative() {
        return units < 0;
    }

    /** To the nearest multiple of a step (5 units of cash, say), halves away from zero. */
    public Money roundedTo(long step) {
        if (step < 1) {
            throw new IllegalArgumentException("the step must be at least 1: " + step);
        }
        long rest = Math.abs(units) % step;
        long size = Math.abs(units) - rest + (rest * 2 >= step ? step : 0);
        return new Money(Long.signum(units) * size, currency);
    }

    /**
     * Shares in proportion to weights that add up to exactly this: each is rounded towards zero, and the units that are left
     * go to the largest remainders, the first ones among equal.
     *
     * @throws IllegalArgumentException for a negative weight, or where all are 0
     */
    public List<Money> allocate(long... weights) {
        long total = 0;
        for (long weight : weights) {
            if (weight < 0) {
                throw new IllegalArgumentException("a negative weight: " + weight);
            }
            total += weight;
        }
        if (total == 0) {
            throw new IllegalArgumentException("all weights are 0");
        }
        long size = Math.abs(units);
        long left = size;
        long[] shares = new long[weights.length];
        List<Integer> order = new ArrayList<>();
        for (int i = 0; i < weights.length; i++) {
            shares[i] = Math.multiplyExact(size, weights[i]) / total;
            left -= shares[i];
            order.add(i);
        }
        long whole = total;
        order.sort((a, b) -> Long.compare(size * weights[b] % whole, size * weights[a] % whole));
        for (int i = 0; i < left; i++) {
            shares[order.get(i)]++;
        }
        List<Money> result = new ArrayList<>();
        for (long share : shares) {
            result.add(new Money(Long.signum(units) * share, currency));
        }
        return result;
    }

    /** Equal shares that differ by one unit at most, larger ones first. */
    public List<Money> split(int parts) {
        long[] weights = new long[parts];
        java.util.Arrays.fill(weights, 1);
        return allocate(weights);
    }

    /** @throws IllegalArgumentException for another currency */
    @Override
    public int compareTo(Money other) {
        return Long.compare(units, same(other).units);
    }

    /** The amount with all places and commas between thousands, then the code: "-1,234.50 EUR". */
    @Override
    public String toString() {
        String digits = BigDecimal.valueOf(units, currency.places()).abs().toPlainString();
        int end = digits.indexOf('.') < 0 ? digits.length() : digits.indexOf('.');
        StringBuilder text = new StringBuilder(digits);
        for (int at = end - 3; at > 0; at -= 3) {
            text.insert(at, ',');
        }
        return (isNegative() ? "-" : "") + text + " " + currency.code();
    }

    private Money same(Money other) {
        if (!currency.equals(other.currency)) {
            throw new IllegalArgumentException(other + " is not in " + currency.code());
        }
        return other;
    }
}

package money;

import static money.Money.Currency.*;
import static org.junit.jupiter.api.Assertions.*;

import java.math.BigDecimal;
import java.util.List;
import org.junit.jupiter.api.Test;

class MoreMoneyTest {
    private static Money eur(String text) {
        return Money.parse(text, EUR);
    }

    private static List<Long> units(List<Money> amounts) {
        return amounts.stream().map(Money::units).toList();
    }

    @Test
    void parsesTheSignOfSmallAmounts() {
        assertEquals(-5, eur("-0.05").units());
        assertEquals(0, eur("-0").units());
    }

    @Test
    void parsesManyThousands() {
        assertEquals(123456789000L, eur("1,234,567,890").units());
        assertEquals(123456700, eur("1234567").units());
    }

    @Test
    void refusesMisplacedCommas() {
        assertThrows(IllegalArgumentException.class, () -> eur("1,23"));
        assertThrows(IllegalArgumentException.class, () -> eur("1234,567"));
        assertThrows(IllegalArgumentException.class, () -> eur(",123"));
        assertThrows(IllegalArgumentException.class, () -> eur("1,2345"));
    }

    @Test
    void refusesSignsAndBlanks() {
        assertThrows(IllegalArgumentException.class, () -> eur("+1"));
        assertThrows(IllegalArgumentException.class, () -> eur(" 1"));
        assertThrows(IllegalArgumentException.class, () -> eur(""));
        assertThrows(IllegalArgumentException.class, () -> eur("--1"));
        assertThrows(IllegalArgumentException.class, () -> eur(".5"));
    }

    @Test
    void refusesPlacesWhereThereAreNone() {
        assertThrows(IllegalArgumentException.class, () -> Money.parse("1.0", JPY));
        assertEquals(7, Money.parse("7", JPY).units());
    }

    @Test
    void takesThreePlaces() {
        assertEquals(1234, Money.parse("1.234", KWD).units());
        assertEquals(1200, Money.parse("1.2", KWD).units());
    }

    @Test
    void refusesBadCurrencies() {
        assertThrows(IllegalArgumentException.class, () -> new Money.Currency("eur", 2));
        assertThrows(IllegalArgumentException.class, () -> new Money.Currency("EURO", 2));
        assertThrows(IllegalArgumentException.class, () -> new Money.Currency("EUR", -1));
        assertThrows(IllegalArgumentException.class, () -> new Money.Currency("EUR", 5));
    }

    @Test
    void takesFourPlaces() {
        assertEquals(10000, Money.parse("1", new Money.Currency("CLF", 4)).units());
    }

    @Test
    void printsSmallAmounts() {
        assertEquals("0.05 EUR", new Money(5, EUR).toString());
        assertEquals("-0.05 EUR", new Money(-5, EUR).toString());
        assertEquals("0.00 EUR", Money.zero(EUR).toString());
    }

    @Test
    void printsAtTheEdgeOfThousands() {
        assertEquals("999.99 EUR", new Money(99999, EUR).toString());
        assertEquals("1,000.00 EUR", new Money(100000, EUR).toString());
        assertEquals("-123,456 JPY", new Money(-123456, JPY).toString());
        assertEquals("999 JPY", new Money(999, JPY).toString());
    }

    @Test
    void printsWhatItParses() {
        for (String text : List.of("1,234.50", "-0.07", "12.00", "-1,000,000.00")) {
            assertEquals(text + " EUR", eur(text).toString());
        }
    }

    @Test
    void overflowIsAnError() {
        assertThrows(ArithmeticException.class, () -> new Money(Long.MAX_VALUE, EUR).plus(new Money(1, EUR)));
        assertThrows(ArithmeticException.class, () -> new Money(Long.MIN_VALUE, EUR).minus(new Money(1, EUR)));
        assertThrows(ArithmeticException.class, () -> new Money(Long.MAX_VALUE, EUR).times(2));
    }

    @Test
    void roundsHalvesToEven() {
        assertEquals(2, new Money(5, EUR).times(new BigDecimal("0.5")).units());
        assertEquals(4, new Money(7, EUR).times(new BigDecimal("0.5")).units());
        assertEquals(-2, new Money(-5, EUR).times(new BigDecimal("0.5")).units());
        assertEquals(3, new Money(5, EUR).times(new BigDecimal("0.51")).units());
    }

    @Test
    void takesPartsOfPerCent() {
        assertEquals(2, new Money(31, EUR).percent("7.5").units());
        assertEquals(-19, new Money(-100, EUR).percent("19").units());
        assertEquals(0, eur("5").percent("0").units());
    }

    @Test
    void negates() {
        assertEquals(eur("-2"), eur("2").negated());
        assertTrue(eur("-2").isNegative());
        assertFalse(Money.zero(EUR).isNegative());
    }

    @Test
    void roundsHalvesAwayFromZero() {
        assertEquals(10, new Money(5, EUR).roundedTo(10).units());
        assertEquals(-10, new Money(-5, EUR).roundedTo(10).units());
        assertEquals(0, new Money(4, EUR).roundedTo(10).units());
        assertEquals(-20, new Money(-24, EUR).roundedTo(10).units());
    }

    @Test
    void roundsToOddSteps() {
        assertEquals(3, new Money(2, EUR).roundedTo(3).units());
        assertEquals(0, new Money(1, EUR).roundedTo(3).units());
        assertEquals(7, new Money(7, EUR).roundedTo(1).units());
        assertEquals(30, new Money(30, EUR).roundedTo(10).units());
    }

    @Test
    void refusesStepsBelowOne() {
        assertThrows(IllegalArgumentException.class, () -> eur("1").roundedTo(0));
    }

    @Test
    void givesTheRestToLargestRemainders() {
        assertEquals(List.of(1L, 3L, 6L), units(new Money(10, EUR).allocate(1, 3, 5)));
        assertEquals(List.of(1L, 2L, 2L), units(new Money(5, EUR).allocate(1, 2, 2)));
        assertEquals(List.of(0L, 1L), units(new Money(1, EUR).allocate(1, 2)));
    }

    @Test
    void givesTheRestToTheFirstOfEqual() {
        assertEquals(List.of(4L, 3L, 3L), units(new Money(10, EUR).allocate(5, 5, 5)));
        assertEquals(List.of(2L, 2L, 1L), units(new Money(5, EUR).split(3)));
    }

    @Test
    void allocatesDebts() {
        assertEquals(List.of(-4L, -3L, -3L), units(new Money(-10, EUR).split(3)));
    }

    @Test
    void gives0ToWeight0() {
        assertEquals(List.of(0L, 7L), units(new Money(7, EUR).allocate(0, 3)));
    }

    @Test
    void allocatesNothing() {
        assertEquals(List.of(0L, 0L), units(Money.zero(EUR).allocate(1, 2)));
    }

    @Test
    void refusesBadWeights() {
        assertThrows(IllegalArgumentException.class, () -> eur("1").allocate(1, -1, 3));
        assertThrows(IllegalArgumentException.class, () -> eur("1").allocate(0, 0));
        assertThrows(IllegalArgumentException.class, () -> eur("1").split(0));
    }

    @Test
    void allocationsAddUp() {
        for (long size = -50; size <= 50; size++) {
            List<Money> shares = new Money(size, EUR).allocate(3, 1, 4, 1, 5);
            assertEquals(size, shares.stream().mapToLong(Money::units).sum());
            for (int i = 0; i < 5; i++) {
                double exact = size * new int[] {3, 1, 4, 1, 5}[i] / 14.0;
                assertTrue(Math.abs(shares.get(i).units() - exact) < 1);
            }
        }
    }

    @Test
    void comparesOnlyOneCurrency() {
        assertThrows(IllegalArgumentException.class, () -> eur("1").compareTo(Money.zero(JPY)));
        assertEquals(0, eur("1").compareTo(eur("1.00")));
        assertTrue(eur("2").compareTo(eur("-3")) > 0);
    }

    @Test
    void namesTheOtherCurrency() {
        assertEquals("5 JPY is not in EUR", assertThrows(IllegalArgumentException.class, () -> eur("1").minus(new Money(5, JPY))).getMessage());
    }
}

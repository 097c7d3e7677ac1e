package money;

import static money.Money.Currency.*;
import static org.junit.jupiter.api.Assertions.*;

import java.math.BigDecimal;
import java.util.List;
import org.junit.jupiter.api.Test;

class MoneyTest {
    private static Money eur(String text) {
        return Money.parse(text, EUR);
    }

    private static List<Long> units(List<Money> amounts) {
        return amounts.stream().map(Money::units).toList();
    }

    @Test
    void parsesAmounts() {
        assertEquals(123450, eur("1,234.50").units());
        assertEquals(-300, eur("-3").units());
    }

    @Test
    void fillsUpPlaces() {
        assertEquals(50, eur("0.5").units());
    }

    @Test
    void refusesOtherText() {
        assertThrows(IllegalArgumentException.class, () -> eur("1."));
        assertThrows(IllegalArgumentException.class, () -> eur("x"));
    }

    @Test
    void refusesTooManyPlaces() {
        assertThrows(IllegalArgumentException.class, () -> eur("1.005"));
    }

    @Test
    void printsWithCommas() {
        assertEquals("1,234,567.05 EUR", new Money(123456705, EUR).toString());
    }

    @Test
    void printsWithoutPlaces() {
        assertEquals("1,500 JPY", new Money(1500, JPY).toString());
    }

    @Test
    void addsAndSubtracts() {
        assertEquals(eur("3.30"), eur("1.10").plus(eur("2.20")));
        assertEquals(eur("-1.10"), eur("1.10").minus(eur("2.20")));
    }

    @Test
    void keepsCurrenciesApart() {
        assertThrows(IllegalArgumentException.class, () -> eur("1").plus(Money.zero(JPY)));
    }

    @Test
    void multiplies() {
        assertEquals(eur("3.30"), eur("1.10").times(3));
        assertEquals(eur("0.55"), eur("1.10").times(new BigDecimal("0.5")));
    }

    @Test
    void takesPerCent() {
        assertEquals(eur("19.00"), eur("100").percent("19"));
    }

    @Test
    void roundsToCash() {
        assertEquals(eur("1.05"), eur("1.03").roundedTo(5));
        assertEquals(eur("1.00"), eur("1.02").roundedTo(5));
    }

    @Test
    void allocatesWithoutLoss() {
        assertEquals(List.of(34L, 33L, 33L), units(eur("1").split(3)));
    }

    @Test
    void allocatesByWeight() {
        assertEquals(List.of(70L, 30L), units(eur("1").allocate(7, 3)));
    }

    @Test
    void compares() {
        assertTrue(eur("1").compareTo(eur("1.01")) < 0);
    }
}

package money;

import static money.Money.Currency.*;
import static org.junit.jupiter.api.Assertions.*;

import java.math.BigDecimal;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import org.junit.jupiter.api.Test;

class MoreInvoiceTest {
    private static Money eur(String text) {
        return Money.parse(text, EUR);
    }

    private static List<Long> units(List<Money> amounts) {
        return amounts.stream().map(Money::units).toList();
    }

    @Test
    void ratesToItself() {
        assertEquals(BigDecimal.ONE, new Rates().rate(EUR, EUR));
        assertEquals(eur("3"), new Rates().exchange(eur("3"), EUR));
    }

    @Test
    void refusesBadRates() {
        assertThrows(IllegalArgumentException.class, () -> new Rates().set(EUR, JPY, "0"));
        assertThrows(IllegalArgumentException.class, () -> new Rates().set(EUR, JPY, "-1"));
        assertThrows(IllegalArgumentException.class, () -> new Rates().set(EUR, EUR, "1"));
    }

    @Test
    void takesTheDirectRate() {
        Rates rates = new Rates().set(EUR, JPY, "100").set(JPY, KWD, "1").set(EUR, KWD, "7");
        assertEquals(0, rates.rate(EUR, KWD).compareTo(new BigDecimal("7")));
    }

    @Test
    void setsAgain() {
        assertEquals(0, new Rates().set(EUR, JPY, "100").set(EUR, JPY, "120").rate(EUR, JPY).compareTo(new BigDecimal("120")));
        assertEquals(0, new Rates().set(EUR, JPY, "100").set(JPY, EUR, "0.5").rate(EUR, JPY).compareTo(new BigDecimal("2")));
    }

    @Test
    void takesTheFirstOfTwoWays() {
        Rates rates = new Rates().set(EUR, KWD, "2").set(EUR, JPY, "3");
        Money.Currency usd = new Money.Currency("USD", 2);
        rates.set(KWD, usd, "10").set(JPY, usd, "10");
        assertEquals(0, rates.rate(EUR, usd).compareTo(new BigDecimal("30")));
    }

    @Test
    void findsLongChains() {
        Money.Currency a = new Money.Currency("AAA", 2), b = new Money.Currency("BBB", 2), c = new Money.Currency("CCC", 2), d = new Money.Currency("DDD", 2);
        Rates rates = new Rates().set(a, b, "2").set(c, b, "0.25").set(c, d, "3");
        assertEquals(0, rates.rate(a, d).compareTo(new BigDecimal("24")));
        assertThrows(NoSuchElementException.class, () -> rates.rate(a, EUR));
    }

    @Test
    void exchangesBetweenPlaces() {
        assertEquals(Money.parse("3.350", KWD), new Rates().set(EUR, KWD, "0.335").exchange(eur("10"), KWD));
        assertEquals(eur("29.85"), new Rates().set(EUR, KWD, "0.335").exchange(Money.parse("10", KWD), EUR));
    }

    @Test
    void exchangesDebts() {
        assertEquals(new Money(-163, JPY), new Rates().set(EUR, JPY, "163.2").exchange(eur("-1"), JPY));
    }

    @Test
    void anEmptyInvoiceIsNothing() {
        assertEquals(Money.zero(EUR), new Invoice(EUR).total());
        assertEquals(Map.of(), new Invoice(EUR).discount(eur("5")).taxes());
        assertEquals(List.of(), new Invoice(EUR).nets());
    }

    @Test
    void taxesAreRoundedOnce() {
        Invoice invoice = new Invoice(EUR).add("a", 1, eur("0.13"), "19").add("b", 1, eur("0.13"), "19").add("c", 1, eur("0.13"), "19");
        assertEquals(eur("0.07"), invoice.taxes().get("19"));
        assertEquals(eur("0.46"), invoice.total());
    }

    @Test
    void taxesAreInOrder() {
        Invoice invoice = new Invoice(EUR).add("a", 1, eur("1"), "7").add("b", 1, eur("1"), "19").add("c", 1, eur("1"), "0");
        assertEquals(List.of("0", "19", "7"), List.copyOf(invoice.taxes().keySet()));
    }

    @Test
    void discountsAreNeverMoreThanAll() {
        Invoice invoice = new Invoice(EUR).add("a", 1, eur("5"), "19").discount(eur("9"));
        assertEquals(eur("5"), invoice.reduction());
        assertEquals(Money.zero(EUR), invoice.total());
        assertEquals(List.of(0L), units(invoice.nets()));
    }

    @Test
    void laterDiscountsReplaceEarlier() {
        Invoice invoice = new Invoice(EUR).add("a", 1, eur("5"), "0").discount(eur("1")).discount(eur("2"));
        assertEquals(eur("3"), invoice.total());
    }

    @Test
    void discountsLoseNoUnit() {
        Invoice invoice = new Invoice(EUR).add("a", 1, eur("1"), "0").add("b", 1, eur("1"), "0").add("c", 1, eur("1"), "0").discount(eur("1"));
        assertEquals(List.of(66L, 67L, 67L), units(invoice.nets()));
        assertEquals(eur("2"), invoice.total());
    }

    @Test
    void refusesNegativeDiscounts() {
        assertThrows(IllegalArgumentException.class, () -> new Invoice(EUR).discount(eur("-1")));
    }

    @Test
    void refusesOtherCurrencies() {
        assertThrows(IllegalArgumentException.class, () -> new Invoice(EUR).add("a", 1, Money.zero(JPY), "7"));
        assertThrows(IllegalArgumentException.class, () -> new Invoice(EUR).discount(Money.zero(JPY)));
    }

    @Test
    void freeLinesAreAllowed() {
        Invoice invoice = new Invoice(EUR).add("gift", 3, eur("0"), "19").add("a", 1, eur("2"), "19").discount(eur("1"));
        assertEquals(List.of(0L, 100L), units(invoice.nets()));
        assertEquals(eur("1.19"), invoice.total());
    }

    @Test
    void onlyFreeLines() {
        Invoice invoice = new Invoice(EUR).add("gift", 1, eur("0"), "19").discount(eur("1"));
        assertEquals(Money.zero(EUR), invoice.total());
    }

    @Test
    void linesMultiply() {
        assertEquals(eur("7.50"), new Invoice.Line("a", 3, eur("2.50"), "7").net());
    }
}

package money;

import static money.Money.Currency.*;
import static org.junit.jupiter.api.Assertions.*;

import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import org.junit.jupiter.api.Test;

class InvoiceTest {
    private static Money eur(String text) {
        return Money.parse(text, EUR);
    }

    private static List<Long> units(List<Money> amounts) {
        return amounts.stream().map(Money::units).toList();
    }

    @Test
    void exchanges() {
        assertEquals(Money.parse("163", JPY), new Rates().set(EUR, JPY, "163.2").exchange(eur("1"), JPY));
    }

    @Test
    void exchangesBack() {
        assertEquals(eur("0.50"), new Rates().set(EUR, JPY, "100").exchange(Money.parse("50", JPY), EUR));
    }

    @Test
    void chainsRates() {
        assertEquals(Money.parse("5.000", KWD), new Rates().set(EUR, JPY, "100").set(JPY, KWD, "0.005").exchange(eur("10"), KWD));
    }

    @Test
    void knowsWhereNoRateLeads() {
        assertThrows(NoSuchElementException.class, () -> new Rates().rate(EUR, JPY));
    }

    @Test
    void addsLines() {
        assertEquals(eur("25.00"), new Invoice(EUR).add("a", 2, eur("10"), "19").add("b", 1, eur("5"), "7").subtotal());
    }

    @Test
    void addsTaxes() {
        Invoice invoice = new Invoice(EUR).add("a", 2, eur("10"), "19").add("b", 1, eur("5"), "7");
        assertEquals(Map.of("19", eur("3.80"), "7", eur("0.35")), invoice.taxes());
        assertEquals(eur("29.15"), invoice.total());
    }

    @Test
    void spreadsDiscounts() {
        Invoice invoice = new Invoice(EUR).add("a", 2, eur("10"), "19").add("b", 1, eur("5"), "7").discount(eur("2.50"));
        assertEquals(List.of(1800L, 450L), units(invoice.nets()));
        assertEquals(eur("26.24"), invoice.total());
    }

    @Test
    void refusesBadLines() {
        assertThrows(IllegalArgumentException.class, () -> new Invoice(EUR).add("a", 0, eur("1"), "7"));
        assertThrows(IllegalArgumentException.class, () -> new Invoice(EUR).add("a", 1, eur("-1"), "7"));
    }
}

package planner;

import static org.junit.jupiter.api.Assertions.*;

import java.util.List;
import org.junit.jupiter.api.Test;

class RosterTest {
    private static final Plan MEAL = new Plan()
            .add(Task.of("shop", 3))
            .add(Task.of("tidy", 2))
            .add(Task.of("cook", 4, "shop"))
            .add(Task.of("table", 1, "tidy"))
            .add(Task.of("eat", 2, "cook", "table"));

    @Test
    void oneWorkerDoesAllInTurn() {
        Roster roster = Roster.of(MEAL, 1);
        assertEquals(12, roster.end());
        assertEquals(5, roster.dayOf(0).size());
        assertEquals(0, roster.idle(0));
    }

    @Test
    void twoWorkersShare() {
        Roster roster = Roster.of(MEAL, 2);
        assertEquals(9, roster.end());
        assertEquals(new Roster.Shift("cook", 0, 3, 7), roster.shift("cook"));
        assertEquals(new Roster.Shift("tidy", 1, 0, 2), roster.shift("tidy"));
    }

    @Test
    void theLoadIsTheShareOfBusyTime() {
        assertEquals(1.0, Roster.of(MEAL, 1).load());
        assertEquals(12.0 / 18.0, Roster.of(MEAL, 2).load(), 1e-12);
    }

    @Test
    void workersAreChecked() {
        assertThrows(IllegalArgumentException.class, () -> Roster.of(MEAL, 0));
        assertThrows(IndexOutOfBoundsException.class, () -> Roster.of(MEAL, 2).dayOf(2));
    }
}

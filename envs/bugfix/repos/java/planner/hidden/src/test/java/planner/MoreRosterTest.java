package planner;

import static org.junit.jupiter.api.Assertions.*;

import java.util.List;
import java.util.NoSuchElementException;
import org.junit.jupiter.api.Test;
import planner.Roster.Shift;

class MoreRosterTest {
    @Test
    void leastSlackGoesFirst() {
        Plan plan = new Plan().add(Task.of("short", 1)).add(Task.of("long", 5)).add(Task.of("mid", 3));
        assertEquals(List.of(new Shift("long", 0, 0, 5), new Shift("mid", 0, 5, 8), new Shift("short", 0, 8, 9)), Roster.of(plan, 1).shifts());
    }

    @Test
    void priorityDecidesAmongEqualSlack() {
        Plan plan = new Plan().add(Task.of("a", 2)).add(Task.of("b", 2).withPriority(1));
        assertEquals("b", Roster.of(plan, 1).shifts().get(0).task());
    }

    @Test
    void theOrderDecidesAmongEqualPriority() {
        Plan plan = new Plan().add(Task.of("b", 2)).add(Task.of("a", 2));
        assertEquals("b", Roster.of(plan, 1).shifts().get(0).task());
    }

    @Test
    void theLowestFreeWorkerIsTaken() {
        Plan plan = new Plan().add(Task.of("a", 2)).add(Task.of("b", 2)).add(Task.of("c", 2));
        Roster roster = Roster.of(plan, 3);
        assertEquals(List.of(0, 1, 2), roster.shifts().stream().map(Shift::worker).toList());
    }

    @Test
    void theWorkerWithLessIdleTimeIsTaken() {
        Plan plan = new Plan().add(Task.of("a", 4)).add(Task.of("b", 3)).add(Task.of("c", 1, "a"));
        Roster roster = Roster.of(plan, 2);
        assertEquals(new Shift("c", 0, 4, 5), roster.shift("c"));
        assertEquals(1, roster.shift("b").worker());
    }

    @Test
    void theTighterOfTwoWaitingWorkersIsTaken() {
        Plan plan = new Plan().add(Task.of("a", 2)).add(Task.of("b", 3)).add(Task.of("d", 6)).add(Task.of("e", 1, "b"));
        Roster roster = Roster.of(plan, 3);
        assertEquals(new Shift("d", 0, 0, 6), roster.shift("d"));
        assertEquals(new Shift("e", roster.shift("b").worker(), 3, 4), roster.shift("e"));
    }

    @Test
    void tasksWaitAcrossWorkers() {
        Plan plan = new Plan().add(Task.of("a", 5)).add(Task.of("b", 1)).add(Task.of("c", 2, "a", "b"));
        Roster roster = Roster.of(plan, 2);
        assertEquals(5, roster.shift("c").start());
        assertEquals(7, roster.end());
    }

    @Test
    void idleTimeIsBeforeTasksOnly() {
        Plan plan = new Plan().add(Task.of("a", 2)).add(Task.of("b", 1, "a")).add(Task.of("c", 3, "a"));
        Roster roster = Roster.of(plan, 2);
        assertEquals(2, roster.shift("b").start());
        assertEquals(0, roster.idle(0));
        assertEquals(2, roster.idle(1));
        assertEquals(5, roster.end());
    }

    @Test
    void aWorkerWithoutTasksIsNotIdle() {
        Roster roster = Roster.of(new Plan().add(Task.of("a", 2)), 2);
        assertEquals(0, roster.idle(1));
        assertEquals(List.of(), roster.dayOf(1));
        assertEquals(0.5, roster.load());
    }

    @Test
    void daysAreInOrderOfTime() {
        Plan plan = new Plan().add(Task.of("a", 1)).add(Task.of("b", 2, "a")).add(Task.of("c", 3, "b"));
        assertEquals(List.of("a", "b", "c"), Roster.of(plan, 1).dayOf(0).stream().map(Shift::task).toList());
    }

    @Test
    void anEmptyPlanIsFullyLoaded() {
        Roster roster = Roster.of(new Plan(), 1);
        assertEquals(1.0, roster.load());
        assertEquals(0, roster.end());
    }

    @Test
    void unknownTasksHaveNoShift() {
        Roster roster = Roster.of(new Plan().add(Task.of("a", 1)), 1);
        assertThrows(NoSuchElementException.class, () -> roster.shift("b"));
        assertThrows(IndexOutOfBoundsException.class, () -> roster.dayOf(-1));
    }

    @Test
    void shiftsOfOneWorkerNeverOverlap() {
        Plan plan = new Plan();
        for (int at = 0; at < 12; at++) {
            plan.add(at < 3 ? Task.of("t" + at, at + 1) : Task.of("t" + at, at % 4, "t" + (at - 3), "t" + (at / 2)));
        }
        Roster roster = Roster.of(plan, 3);
        for (int worker = 0; worker < 3; worker++) {
            int free = 0;
            for (Shift shift : roster.dayOf(worker)) {
                assertTrue(shift.start() >= free, shift.toString());
                free = shift.end();
            }
        }
        assertEquals(12, roster.shifts().size());
        assertTrue(roster.end() >= new Timeline(plan).end());
    }
}

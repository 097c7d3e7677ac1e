package planner;

import static org.junit.jupiter.api.Assertions.*;

import java.util.List;
import java.util.NoSuchElementException;
import org.junit.jupiter.api.Test;

class PlanTest {
    private static final Plan HOUSE = new Plan()
            .add(Task.of("roof", 3, "walls"))
            .add(Task.of("walls", 5, "ground"))
            .add(Task.of("ground", 2))
            .add(Task.of("garden", 4, "ground"))
            .add(Task.of("party", 1, "roof", "garden"));

    private static List<String> names(Plan plan) {
        return plan.order().stream().map(Task::name).toList();
    }

    @Test
    void orderRespectsWaiting() {
        assertEquals(List.of("ground", "walls", "roof", "garden", "party"), names(HOUSE));
    }

    @Test
    void priorityDecidesWhereThereIsAChoice() {
        Plan plan = new Plan().add(Task.of("a", 1)).add(Task.of("b", 1).withPriority(2)).add(Task.of("c", 1).withPriority(1));
        assertEquals(List.of("b", "c", "a"), names(plan));
    }

    @Test
    void firstAddedDecidesAmongEqual() {
        Plan plan = new Plan().add(Task.of("z", 1)).add(Task.of("a", 1)).add(Task.of("m", 1));
        assertEquals(List.of("z", "a", "m"), names(plan));
    }

    @Test
    void cyclesAreNamed() {
        Plan plan = new Plan().add(Task.of("x", 1)).add(Task.of("a", 1, "c")).add(Task.of("b", 1, "a")).add(Task.of("c", 1, "b"));
        CycleException error = assertThrows(CycleException.class, plan::order);
        assertEquals(List.of("a", "c", "b", "a"), error.cycle());
    }

    @Test
    void aNameIsTakenOnce() {
        assertThrows(IllegalArgumentException.class, () -> new Plan().add(Task.of("a", 1)).add(Task.of("a", 2)));
    }

    @Test
    void unknownTasksAreReported() {
        Plan plan = new Plan().add(Task.of("a", 1, "y", "x")).add(Task.of("b", 1, "x", "a"));
        assertEquals(List.of("x", "y"), plan.missing());
        assertThrows(NoSuchElementException.class, plan::order);
    }

    @Test
    void requirementsGoAllTheWay() {
        assertEquals(List.of("garden", "ground", "roof", "walls"), HOUSE.requirements("party"));
        assertEquals(List.of(), HOUSE.requirements("ground"));
    }

    @Test
    void followersAreDirect() {
        assertEquals(List.of("walls", "garden"), HOUSE.followers("ground").stream().map(Task::name).toList());
    }

    @Test
    void tasksAreChecked() {
        assertThrows(IllegalArgumentException.class, () -> Task.of(" ", 1));
        assertThrows(IllegalArgumentException.class, () -> Task.of("a", -1));
        assertThrows(IllegalArgumentException.class, () -> Task.of("a", 1, "b", "a"));
    }

    @Test
    void milestonesTakeNoTime() {
        assertTrue(Task.of("a", 0).isMilestone());
        assertFalse(Task.of("a", 1).isMilestone());
    }
}

package planner;

import static org.junit.jupiter.api.Assertions.*;

import java.util.List;
import java.util.NoSuchElementException;
import org.junit.jupiter.api.Test;

class MorePlanTest {
    private static List<String> names(List<Task> tasks) {
        return tasks.stream().map(Task::name).toList();
    }

    @Test
    void priorityDoesNotOvertakeWaiting() {
        Plan plan = new Plan().add(Task.of("a", 1)).add(Task.of("b", 1, "a").withPriority(9)).add(Task.of("c", 1).withPriority(5));
        assertEquals(List.of("c", "a", "b"), names(plan.order()));
    }

    @Test
    void negativePrioritiesComeLast() {
        Plan plan = new Plan().add(Task.of("a", 1).withPriority(-1)).add(Task.of("b", 1));
        assertEquals(List.of("b", "a"), names(plan.order()));
    }

    @Test
    void aFreedTaskOfHighPriorityComesNext() {
        Plan plan = new Plan().add(Task.of("a", 1)).add(Task.of("b", 1)).add(Task.of("c", 1, "a").withPriority(1));
        assertEquals(List.of("a", "c", "b"), names(plan.order()));
    }

    @Test
    void aTaskWaitsForAllOfThem() {
        Plan plan = new Plan().add(Task.of("z", 1, "a", "b", "c")).add(Task.of("a", 1)).add(Task.of("b", 1)).add(Task.of("c", 1));
        assertEquals(List.of("a", "b", "c", "z"), names(plan.order()));
    }

    @Test
    void repeatedNamesInAfterCountOnce() {
        Plan plan = new Plan().add(Task.of("a", 1)).add(Task.of("b", 1, "a", "a"));
        assertEquals(List.of("a"), plan.task("b").after());
        assertEquals(2, plan.order().size());
    }

    @Test
    void aCycleBehindOtherTasksIsFound() {
        Plan plan = new Plan().add(Task.of("late", 1, "p")).add(Task.of("q", 1, "p")).add(Task.of("p", 1, "q")).add(Task.of("ok", 1));
        CycleException error = assertThrows(CycleException.class, plan::order);
        assertEquals(List.of("q", "p", "q"), error.cycle());
        assertEquals("tasks wait for one another: q -> p -> q", error.getMessage());
    }

    @Test
    void theCycleLeavesFinishedTasksOut() {
        Plan plan = new Plan().add(Task.of("ok", 1)).add(Task.of("a", 1, "ok", "b")).add(Task.of("b", 1, "a"));
        assertEquals(List.of("a", "b", "a"), assertThrows(CycleException.class, plan::order).cycle());
    }

    @Test
    void requirementsOfUnknownTasksAreRefused() {
        assertThrows(NoSuchElementException.class, () -> new Plan().requirements("a"));
        Plan dangling = new Plan().add(Task.of("a", 1, "b"));
        assertThrows(NoSuchElementException.class, () -> dangling.requirements("a"));
    }

    @Test
    void requirementsEndInACycle() {
        Plan plan = new Plan().add(Task.of("a", 1, "b")).add(Task.of("b", 1, "a"));
        assertEquals(List.of("a", "b"), plan.requirements("a"));
    }

    @Test
    void followersOfTheLastAreNone() {
        Plan plan = new Plan().add(Task.of("a", 1)).add(Task.of("b", 1, "a"));
        assertEquals(List.of(), plan.followers("b"));
        assertThrows(NoSuchElementException.class, () -> plan.followers("c"));
    }

    @Test
    void missingIsEmptyForASoundPlan() {
        assertEquals(List.of(), new Plan().add(Task.of("b", 1, "a")).add(Task.of("a", 1)).missing());
    }

    @Test
    void tasksKeepTheOrderOfAddition() {
        Plan plan = new Plan().add(Task.of("b", 1, "a")).add(Task.of("a", 1));
        assertEquals(List.of("b", "a"), names(List.copyOf(plan.tasks())));
        assertEquals(2, plan.size());
        assertThrows(UnsupportedOperationException.class, () -> plan.tasks().clear());
    }

    @Test
    void aTakenNameKeepsTheFirstTask() {
        Plan plan = new Plan().add(Task.of("a", 1));
        assertThrows(IllegalArgumentException.class, () -> plan.add(Task.of("a", 5)));
        assertEquals(1, plan.task("a").duration());
    }

    @Test
    void priorityKeepsTheRest() {
        Task task = Task.of("a", 3, "b").withPriority(4);
        assertEquals(new Task("a", 3, 4, List.of("b")), task);
        assertEquals(0, Task.of("a", 0).priority());
    }

    @Test
    void theEmptyPlanHasAnEmptyOrder() {
        assertEquals(List.of(), new Plan().order());
        assertEquals(0, new Plan().size());
    }
}

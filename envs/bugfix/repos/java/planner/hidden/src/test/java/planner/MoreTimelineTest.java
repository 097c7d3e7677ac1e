package planner;

import static org.junit.jupiter.api.Assertions.*;

import java.util.List;
import java.util.NoSuchElementException;
import org.junit.jupiter.api.Test;

class MoreTimelineTest {
    private static final Plan PLAN = new Plan()
            .add(Task.of("a", 3))
            .add(Task.of("b", 2, "a"))
            .add(Task.of("c", 4, "a"))
            .add(Task.of("d", 1, "b"))
            .add(Task.of("e", 2, "c", "d"))
            .add(Task.of("f", 1));
    private static final Timeline TIMES = new Timeline(PLAN);

    @Test
    void freeSlackStopsAtTheNextTask() {
        assertEquals(0, TIMES.freeSlack("b"));
        assertEquals(1, TIMES.freeSlack("d"));
        assertEquals(0, TIMES.freeSlack("c"));
    }

    @Test
    void freeSlackOfTheLastIsUpToTheEnd() {
        assertEquals(8, TIMES.freeSlack("f"));
        assertEquals(0, TIMES.freeSlack("e"));
    }

    @Test
    void slackIsSharedAlongAChain() {
        assertEquals(1, TIMES.slack("b"));
        assertEquals(1, TIMES.slack("d"));
        assertEquals(8, TIMES.slack("f"));
    }

    @Test
    void endsFollowStarts() {
        assertEquals(5, TIMES.earliestEnd("b"));
        assertEquals(9, TIMES.earliestEnd("e"));
        assertEquals(9, TIMES.end());
    }

    @Test
    void theLatestStartOfTheLastIsFromTheEnd() {
        assertEquals(7, TIMES.latestStart("e"));
        assertEquals(8, TIMES.latestStart("f"));
        assertEquals(0, TIMES.latestStart("a"));
    }

    @Test
    void unknownTasksAreRefused() {
        assertThrows(NoSuchElementException.class, () -> TIMES.earliestStart("x"));
        assertThrows(NoSuchElementException.class, () -> TIMES.latestStart("x"));
        assertThrows(NoSuchElementException.class, () -> TIMES.freeSlack("x"));
    }

    @Test
    void theCriticalPathIsOneOfTwoEqual() {
        Plan plan = new Plan().add(Task.of("s", 1)).add(Task.of("y", 2, "s")).add(Task.of("x", 2, "s")).add(Task.of("t", 1, "x", "y"));
        assertEquals(List.of("s", "y", "t"), new Timeline(plan).criticalPath());
    }

    @Test
    void theCriticalPathDoesNotJumpBetweenChains() {
        Plan plan = new Plan().add(Task.of("a", 2)).add(Task.of("b", 2)).add(Task.of("c", 2, "a")).add(Task.of("d", 2, "b"));
        assertEquals(List.of("a", "c"), new Timeline(plan).criticalPath());
    }

    @Test
    void milestonesLieOnTheCriticalPath() {
        Plan plan = new Plan().add(Task.of("a", 2)).add(Task.of("done", 0, "a")).add(Task.of("b", 1, "done"));
        assertEquals(List.of("a", "done", "b"), new Timeline(plan).criticalPath());
    }

    @Test
    void milestonesNeverRun() {
        Plan plan = new Plan().add(Task.of("a", 2)).add(Task.of("done", 0, "a"));
        Timeline times = new Timeline(plan);
        assertEquals(List.of(), times.runningAt(2));
        assertEquals(List.of("a"), times.runningAt(1));
        assertEquals(2, times.end());
    }

    @Test
    void thePeakIsNotAtTheStart() {
        assertEquals(2, TIMES.peak());
        Plan fan = new Plan().add(Task.of("a", 1)).add(Task.of("b", 3, "a")).add(Task.of("c", 2, "a")).add(Task.of("d", 1, "a"));
        assertEquals(3, new Timeline(fan).peak());
    }

    @Test
    void runningAtTheVeryStart() {
        assertEquals(List.of("a", "f"), TIMES.runningAt(0));
        assertEquals(List.of("a"), TIMES.runningAt(1));
        assertEquals(List.of(), TIMES.runningAt(-1));
    }

    @Test
    void aPlanThatCannotBeOrderedHasNoTimes() {
        Plan plan = new Plan().add(Task.of("a", 1, "b")).add(Task.of("b", 1, "a"));
        assertThrows(CycleException.class, () -> new Timeline(plan));
    }
}

package planner;

import static org.junit.jupiter.api.Assertions.*;

import java.util.List;
import org.junit.jupiter.api.Test;

class TimelineTest {
    private static final Plan HOUSE = new Plan()
            .add(Task.of("ground", 2))
            .add(Task.of("walls", 5, "ground"))
            .add(Task.of("garden", 4, "ground"))
            .add(Task.of("roof", 3, "walls"))
            .add(Task.of("party", 1, "roof", "garden"));
    private static final Timeline TIMES = new Timeline(HOUSE);

    @Test
    void theEndIsThatOfTheLongestChain() {
        assertEquals(11, TIMES.end());
    }

    @Test
    void tasksStartWhenAllTheyWaitForIsDone() {
        assertEquals(0, TIMES.earliestStart("ground"));
        assertEquals(2, TIMES.earliestStart("garden"));
        assertEquals(10, TIMES.earliestStart("party"));
    }

    @Test
    void latestStartsLeaveTheEndAlone() {
        assertEquals(6, TIMES.latestStart("garden"));
        assertEquals(2, TIMES.latestStart("walls"));
    }

    @Test
    void slackIsTheDifference() {
        assertEquals(4, TIMES.slack("garden"));
        assertEquals(0, TIMES.slack("roof"));
    }

    @Test
    void theCriticalPathHasNoSlack() {
        assertEquals(List.of("ground", "walls", "roof", "party"), TIMES.criticalPath());
    }

    @Test
    void runningTasksAreThoseBetweenStartAndEnd() {
        assertEquals(List.of("walls", "garden"), TIMES.runningAt(2));
        assertEquals(List.of("walls"), TIMES.runningAt(6));
        assertEquals(List.of(), TIMES.runningAt(11));
    }

    @Test
    void thePeakCountsTasksAtOnce() {
        assertEquals(2, TIMES.peak());
    }

    @Test
    void anEmptyPlanTakesNoTime() {
        Timeline none = new Timeline(new Plan());
        assertEquals(0, none.end());
        assertEquals(0, none.peak());
        assertEquals(List.of(), none.criticalPath());
    }
}

package planner;

import java.util.List;
import java.util.Objects;

/**
 * One piece of work. A duration of 0 makes a milestone; a higher priority goes first where there is a choice.
 */
public record Task(String name, int duration, int priority, List<String> after) {

    /**
     * A checked task.
     *
     * @throws IllegalArgumentException if the name is blank, the duration is negative, or the task waits for itself
     */
    public Task {
        Objects.requireNonNull(name, "name");
        if (name.isBlank()) {
            throw new IllegalArgumentException("a task needs a name");
        }
        if (duration < 0) {
            throw new IllegalArgumentException("the duration of " + name + " is negative: " + duration);
        }
        if (after.contains(name)) {
            throw new IllegalArgumentException(name + " waits for itself");
        }
        after = after.stream().distinct().toList();
    }

    /** A task of priority 0. */
    public static Task of(String name, int duration, String... after) {
        return new Task(name, duration, 0, List.of(after));
    }

    /** The same task with another priority. */
    public Task withPriority(int wanted) {
        return new Task(name, duration, wanted, after);
    }

    /** Whether this task takes no time. */
    public boolean isMilestone() {
        return duration == 0;
    }
}

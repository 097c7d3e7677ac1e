package planner;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * When each task of a plan can and must happen if there are workers enough. A snapshot: later changes of the plan do
 * not show.
 */
public final class Timeline {
    private final Plan plan;
    private final List<Task> order;
    private final Map<String, Integer> earliest = new HashMap<>();
    private final Map<String, Integer> latest = new HashMap<>();
    private final int end;

    /**
     * Computes the times of a plan that starts at 0 and ends as soon as possible.
     *
     * @throws java.util.NoSuchElementException if a task waits for one that is not there
     * @throws CycleException if tasks wait for one another
     */
    public Timeline(Plan plan) {
        this.plan = plan;
        order = plan.order();
        for (Task task : order) {
            earliest.put(task.name(), readyAt(task));
        }
        end = order.stream().mapToInt(task -> earliestStart(task.name()) + task.duration()).max().orElse(0);
        List<Task> backwards = new ArrayList<>(order);
        Collections.reverse(backwards);
        for (Task task : backwards) {
            latest.put(task.name(), dueAt(task) - task.duration());
        }
    }

    /** The time at which everything is done. */
    public int end() {
        return end;
    }

    /** The first moment at which a task can start. */
    public int earliestStart(String name) {
        plan.task(name);
        return earliest.get(name);
    }

    /** The first moment at which a task can be done. */
    public int earliestEnd(String name) {
        return earliestStart(name) + plan.task(name).duration();
    }

    /** The last moment at which a task may start without making the whole plan late. */
    public int latestStart(String name) {
        plan.task(name);
        return latest.get(name);
    }

    /** By how much a task may be late without making the whole plan late. */
    public int slack(String name) {
        return latestStart(name) - earliestStart(name);
    }

    /** By how much a task may be late without moving the earliest start of any other task or the end of the plan. */
    public int freeSlack(String name) {
        int next = plan.followers(name).stream()
                .mapToInt(follower -> earliestStart(follower.name()))
                .min()
                .orElse(end);
        return next - earliestEnd(name);
    }

    /**
     * A longest chain of tasks: it starts at 0, each next one waits for the one before and starts when that ends, and
     * the last one ends with the plan. Where several chains are as long, the earlier task in the plan's order goes in.
     */
    public List<String> criticalPath() {
        List<String> path = new ArrayList<>();
        int at = 0;
        for (Task task : order) {
            boolean follows = path.isEmpty() ? task.after().isEmpty() : task.after().contains(path.get(path.size() - 1));
            if (follows && slack(task.name()) == 0 && earliestStart(task.name()) == at) {
                path.add(task.name());
                at = earliestEnd(task.name());
            }
        }
        return path;
    }

    /** The names of the tasks that run at a moment if all start as early as they can, in the plan's order. */
    public List<String> runningAt(int moment) {
        return order.stream()
                .map(Task::name)
                .filter(name -> earliestStart(name) <= moment && moment < earliestEnd(name))
                .toList();
    }

    /** How many tasks run at the busiest moment if all start as early as they can. */
    public int peak() {
        return order.stream()
                .mapToInt(task -> runningAt(earliestStart(task.name())).size())
                .max()
                .orElse(0);
    }

    private int readyAt(Task task) {
        return task.after().stream().mapToInt(this::earliestEnd).max().orElse(0);
    }

    private int dueAt(Task task) {
        return plan.followers(task.name()).stream()
                .mapToInt(follower -> latestStart(follower.name()))
                .min()
                .orElse(end);
    }
}

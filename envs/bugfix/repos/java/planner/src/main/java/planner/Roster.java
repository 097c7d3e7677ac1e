package planner;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;

/** Tasks handed to a fixed number of workers, each of whom does one task at a time and without a break. */
public final class Roster {
    /** One task in one worker's day; workers count from 0, `end` is the first moment after the task. */
    public record Shift(String task, int worker, int start, int end) {}

    private final List<Shift> shifts;
    private final int workers;

    private Roster(List<Shift> shifts, int workers) {
        this.shifts = List.copyOf(shifts);
        this.workers = workers;
    }

    /**
     * Hands out the tasks of a plan. Time and again the task with the least slack among those that can be handed out
     * (all it waits for are) goes to the worker who can start it first; where slacks are equal the higher priority
     * decides, then the plan's order. Where workers can start at the same moment, it is the one with the fewest idle
     * units before it, then the lowest number.
     *
     * @throws IllegalArgumentException if there is no worker
     */
    public static Roster of(Plan plan, int workers) {
        if (workers < 1) {
            throw new IllegalArgumentException("there must be a worker, not " + workers);
        }
        Timeline timeline = new Timeline(plan);
        List<Task> open = new ArrayList<>(plan.order());
        Map<String, Integer> done = new HashMap<>();
        int[] free = new int[workers];
        List<Shift> shifts = new ArrayList<>();
        while (!open.isEmpty()) {
            Task task = open.stream()
                    .filter(one -> done.keySet().containsAll(one.after()))
                    .min(Comparator.comparingInt((Task one) -> timeline.slack(one.name()))
                            .thenComparingInt(one -> -one.priority()))
                    .orElseThrow();
            open.remove(task);
            int ready = task.after().stream().mapToInt(done::get).max().orElse(0);
            int worker = choose(free, ready);
            int start = Math.max(ready, free[worker]);
            Shift shift = new Shift(task.name(), worker, start, start + task.duration());
            free[worker] = shift.end();
            done.put(task.name(), shift.end());
            shifts.add(shift);
        }
        return new Roster(shifts, workers);
    }

    /** All shifts in the order in which they were handed out. */
    public List<Shift> shifts() {
        return shifts;
    }

    /**
     * The shift in which a task is done.
     *
     * @throws NoSuchElementException if the task is not in the plan
     */
    public Shift shift(String task) {
        return shifts.stream()
                .filter(shift -> shift.task().equals(task))
                .findFirst()
                .orElseThrow(() -> new NoSuchElementException("no task " + task));
    }

    /** What one worker does, in the order of time. */
    public List<Shift> dayOf(int worker) {
        if (worker < 0 || worker >= workers) {
            throw new IndexOutOfBoundsException("worker " + worker + " of " + workers);
        }
        return shifts.stream()
                .filter(shift -> shift.worker() == worker)
                .sorted(Comparator.comparingInt(Shift::start).thenComparingInt(Shift::end))
                .toList();
    }

    /** The time at which the last task is done. */
    public int end() {
        return shifts.stream().mapToInt(Shift::end).max().orElse(0);
    }

    /** The units that one worker waits between 0 and the end of his last task. */
    public int idle(int worker) {
        int at = 0;
        int idle = 0;
        for (Shift shift : dayOf(worker)) {
            idle += shift.start() - at;
            at = shift.end();
        }
        return idle;
    }

    /** The share of all workers' time, from 0 to the end, that is spent on tasks; 1 for a plan that takes no time. */
    public double load() {
        int busy = shifts.stream().mapToInt(shift -> shift.end() - shift.start()).sum();
        return end() == 0 ? 1.0 : (double) busy / ((long) end() * workers);
    }

    private static int choose(int[] free, int ready) {
        int best = 0;
        for (int worker = 1; worker < free.length; worker++) {
            int start = Math.max(ready, free[worker]);
            int bestStart = Math.max(ready, free[best]);
            if (start < bestStart || start == bestStart && free[worker] > free[best]) {
                best = worker;
            }
        }
        return best;
    }
}

package planner;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.PriorityQueue;
import java.util.Set;

/** A set of tasks with distinct names, and the order in which they may be done. */
public final class Plan {
    private final Map<String, Task> tasks = new LinkedHashMap<>();

    /**
     * Adds a task; the tasks it waits for may be added later.
     *
     * @return this plan
     * @throws IllegalArgumentException if the name is taken
     */
    public Plan add(Task task) {
        if (tasks.putIfAbsent(task.name(), task) != null) {
            throw new IllegalArgumentException("there is already a task " + task.name());
        }
        return this;
    }

    /** The number of tasks. */
    public int size() {
        return tasks.size();
    }

    /** All tasks in the order in which they were added. */
    public Collection<Task> tasks() {
        return Collections.unmodifiableCollection(tasks.values());
    }

    /**
     * The task of a name.
     *
     * @throws NoSuchElementException if there is none
     */
    public Task task(String name) {
        Task found = tasks.get(name);
        if (found == null) {
            throw new NoSuchElementException("no task " + name);
        }
        return found;
    }

    /** The names that tasks wait for although nothing has that name, sorted. */
    public List<String> missing() {
        return tasks.values().stream()
                .flatMap(task -> task.after().stream())
                .filter(name -> !tasks.containsKey(name))
                .distinct()
                .sorted()
                .toList();
    }

    /** The tasks that wait directly for this one, in the order in which they were added. */
    public List<Task> followers(String name) {
        task(name);
        return tasks.values().stream().filter(task -> task.after().contains(name)).toList();
    }

    /** Everything that must be done before this task can start, directly or not, sorted by name. */
    public List<String> requirements(String name) {
        Set<String> found = new LinkedHashSet<>();
        List<String> open = new ArrayList<>(task(name).after());
        while (!open.isEmpty()) {
            String next = open.remove(open.size() - 1);
            if (found.add(next)) {
                open.addAll(task(next).after());
            }
        }
        return found.stream().sorted().toList();
    }

    /**
     * All tasks, each after those it waits for. Among the tasks that could come next the one with the highest
     * priority does; where priorities are equal, the one that was added first.
     *
     * @throws NoSuchElementException if a task waits for one that is not there
     * @throws CycleException if tasks wait for one another
     */
    public List<Task> order() {
        Map<String, Integer> waiting = new HashMap<>();
        Map<String, Integer> position = new HashMap<>();
        for (Task task : tasks.values()) {
            task.after().forEach(this::task);
            waiting.put(task.name(), task.after().size());
            position.put(task.name(), position.size());
        }
        Comparator<Task> byPriority = Comparator.comparingInt((Task task) -> -task.priority());
        PriorityQueue<Task> ready =
                new PriorityQueue<>(byPriority.thenComparingInt(task -> position.get(task.name())));
        tasks.values().stream().filter(task -> task.after().isEmpty()).forEach(ready::add);
        List<Task> ordered = new ArrayList<>();
        while (!ready.isEmpty()) {
            Task task = ready.remove();
            ordered.add(task);
            for (Task follower : followers(task.name())) {
                if (waiting.merge(follower.name(), -1, Integer::sum) == 0) {
                    ready.add(follower);
                }
            }
        }
        if (ordered.size() < tasks.size()) {
            throw new CycleException(findCycle(waiting));
        }
        return ordered;
    }

    /** One circle among the tasks that still wait, from the one that was added first of those on it. */
    private List<String> findCycle(Map<String, Integer> waiting) {
        List<String> path = new ArrayList<>();
        String at = tasks.keySet().stream().filter(name -> waiting.get(name) > 0).findFirst().orElseThrow();
        while (!path.contains(at)) {
            path.add(at);
            at = task(at).after().stream().filter(name -> waiting.get(name) > 0).findFirst().orElseThrow();
        }
        List<String> cycle = new ArrayList<>(path.subList(path.indexOf(at), path.size()));
        String first = tasks.keySet().stream().filter(cycle::contains).findFirst().orElseThrow();
        Collections.rotate(cycle, -cycle.indexOf(first));
        cycle.add(first);
        return cycle;
    }
}

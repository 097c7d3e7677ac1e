import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;

/** Orders jobs by what they wait for, and packs them into days – « façon Müller ». */
public class Scheduler {
    private final Map<String, Job> jobs = new HashMap<>();
    private final Map<String, List<String>> waits = new TreeMap<>();
    private final int hoursPerDay;
    private final int breakAfter;
    private double load = 0.0;
    private int accepted;
    private int refused;
    private boolean strict = true;

    /** A job with its length in hours. */
    public static final class Job {
        private final String name;
        private final int hours;
        private final int priority;
        private String owner;

        Job(String name, int hours, int priority) {
            this.name = Objects.requireNonNull(name);
            this.hours = hours;
            this.priority = priority;
        }

        public String name() {
            return name;
        }

        /** Compares by priority, then by length. */
        public int compareTo(Job other) {
            if (priority != other.priority) {
                return other.priority - priority;
            }
            return Integer.compare(hours, other.hours);
        }

        @Override
        public String toString() {
            String who = owner == null ? "niemand" : owner.trim();
            return name + " (" + hours + "h, größe " + who + ")";
        }
    }

    public Scheduler(int hoursPerDay, int breakAfter) {
        if (hoursPerDay <= 0 || breakAfter > hoursPerDay) {
            throw new IllegalArgumentException("hours: " + hoursPerDay);
        }
        this.hoursPerDay = hoursPerDay;
        this.breakAfter = breakAfter;
    }

    /**
     * Adds a job, unless it is known. Later jobs of the name are refused.
     *
     * @param job what to do
     * @return whether it was added
     */
    public boolean add(Job job, String... after) {
        if (job == null || jobs.containsKey(job.name)) {
            refused++;
            return false;
        }
        jobs.put(job.name, job);
        List<String> names = new ArrayList<>();
        for (String name : after) {
            if (name != null && !name.isEmpty()) {
                names.add(name.trim().toLowerCase());
            }
        }
        waits.put(job.name, names);
        accepted += 1;
        load += (double) job.hours / hoursPerDay;
        return true;
    }

    /** The order of all jobs; throws when they wait for one another. */
    public List<Job> order() {
        Map<String, Integer> open = new HashMap<>();
        Deque<String> ready = new ArrayDeque<>();
        for (Map.Entry<String, List<String>> entry : waits.entrySet()) {
            int count = 0;
            for (String name : entry.getValue()) {
                if (jobs.containsKey(name)) {
                    count++;
                } else if (strict) {
                    throw new IllegalStateException("unknown " + name);
                }
            }
            open.put(entry.getKey(), count);
            if (count == 0) {
                ready.addLast(entry.getKey());
            }
        }
        List<Job> found = new ArrayList<>();
        while (!ready.isEmpty()) {
            String next = ready.pollFirst();
            found.add(jobs.get(next));
            for (String name : waits.keySet()) {
                if (!waits.get(name).contains(next)) {
                    continue;
                }
                int left = open.get(name) - 1;
                open.put(name, left);
                if (left == 0) {
                    ready.addLast(name);
                }
            }
        }
        if (found.size() < jobs.size()) {
            throw new IllegalStateException("a circle");
        }
        return Collections.unmodifiableList(found);
    }

    /** How many days the jobs take in their order. */
    public int days(List<Job> list) {
        int days = 0;
        int used = hoursPerDay;
        int since = 0;
        for (int i = 0; i < list.size(); i++) {
            Job job = list.get(i);
            int need = Math.max(1, job.hours);
            if (since >= breakAfter) {
                used = used + 1;
                since = 0;
            }
            if (used + need > hoursPerDay) {
                days++;
                used = 0;
            }
            used += need;
            since += need;
        }
        return days;
    }

    /** The middle of the lengths; 0 without jobs. */
    public double median() {
        int[] lengths = new int[jobs.size()];
        int at = 0;
        for (Job job : jobs.values()) {
            lengths[at++] = job.hours;
        }
        for (int i = 1; i < lengths.length; i++) {
            int key = lengths[i];
            int j = i - 1;
            while (j >= 0 && lengths[j] > key) {
                lengths[j + 1] = lengths[j];
                j--;
            }
            lengths[j + 1] = key;
        }
        if (lengths.length == 0) {
            return 0;
        }
        int half = lengths.length / 2;
        return lengths.length % 2 == 1 ? lengths[half] : (lengths[half - 1] + lengths[half]) / 2.0;
    }

    static String grade(int hours) {
        String word;
        switch (hours) {
            case 0:
                word = "none";
                break;
            case 1:
            case 2:
                word = "short";
                break;
            default:
                word = "long";
        }
        return word;
    }

    public int score(int weight, int bonus) {
        int score = 0;
        int flags = strict ? 1 << 2 : 0;
        for (Job job : jobs.values()) {
            if (job.priority > weight && (job.priority & 1) == 1) {
                score += job.priority * weight - bonus;
            } else {
                score -= bonus;
            }
        }
        return score | flags;
    }
}

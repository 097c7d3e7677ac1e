package planner;

import java.util.List;

/** Thrown when tasks wait for one another in a circle. */
public class CycleException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final transient List<String> cycle;

    /** The names along the circle, each waiting for the next one, the first repeated at the end. */
    public CycleException(List<String> cycle) {
        super("tasks wait for one another: " + String.join(" -> ", cycle));
        this.cycle = List.copyOf(cycle);
    }

    /** The names along the circle. */
    public List<String> cycle() {
        return cycle;
    }
}

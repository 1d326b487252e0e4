// The same in Java, on several threads, with garbage for its collector.
import java.util.*;
import java.util.concurrent.*;

public class Digest {
    static String part(int seed) {
        int sum = 0x811c9dc5, state = seed;
        for (int i = 0; i < 20_000_000; i++) {
            state = state * 1664525 + 1013904223;
            sum = (sum ^ (state >>> 24)) * 16777619;
        }
        double fraction = 0;
        for (int i = 1; i < 2_000_000; i++) fraction += Math.sqrt(i) / (i + 0.5);
        var table = new TreeMap<String, List<Integer>>();
        for (int i = 0; i < 300_000; i++) {
            state = state * 1664525 + 1013904223;
            table.computeIfAbsent("w" + (state >>> 14), key -> new ArrayList<>()).add(i);
        }
        for (var entry : table.entrySet()) {
            for (char letter : entry.getKey().toCharArray()) sum = (sum ^ letter) * 16777619;
            for (int at : entry.getValue()) sum = (sum ^ at) * 16777619;
        }
        return String.format("%08x-%016x", sum, Double.doubleToLongBits(fraction));
    }

    public static void main(String[] words) throws Exception {
        var pool = Executors.newFixedThreadPool(3);
        var parts = new ArrayList<Future<String>>();
        for (int i = 1; i <= 3; i++) { int seed = i; parts.add(pool.submit(() -> part(seed))); }
        var text = new StringJoiner(":");
        for (var part : parts) text.add(part.get());
        pool.shutdown();
        System.out.println(text);
    }
}

// SPDX-License-Identifier: Apache-2.0
// Java at work for so many seconds: interpreted, compiled, collected.
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

public class Work {
	static final Pattern WORD = Pattern.compile("(\\w+?\\d+) (\\d*[13579])\\b");

	static int walk(int depth)
	{
		return depth == 0 ? 1 : 1 + walk(depth - 1) + walk(depth - 1);
	}

	static int words(int salt)
	{
		StringBuilder text = new StringBuilder();
		Map<String, Long> count = new HashMap<>();
		for (int i = 0; i < 1500; i++)
			text.append("word").append(i * 7919 % 613).append(' ')
				.append((long)i * i + salt).append(' ');
		Matcher m = WORD.matcher(text);
		while (m.find())
			count.merge(m.group(1), Long.valueOf(m.group(2)), Long::sum);
		List<String> order = new ArrayList<>(count.keySet());
		Collections.sort(order, (a, b) -> count.get(a).compareTo(count.get(b)));
		return String.join(",", order).hashCode();
	}

	static void until(long end)
	{
		int sum = 0;
		for (int i = 0; System.nanoTime() < end; i++)
			sum += walk(12) + words(i);
		System.out.println(sum);
	}

	public static void main(String[] args) throws InterruptedException
	{
		long end = System.nanoTime() + 1000000000L * Long.parseLong(args[0]);
		Thread other = new Thread(() -> until(end));
		other.start();
		until(end);
		other.join();
	}
}

package dev.switchyard.jenkins;

import java.time.Instant;
import java.time.ZoneId;
import java.time.ZonedDateTime;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Set;
import java.util.TimeZone;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The schedule of Jenkins' timer trigger: lines of five fields, empty lines and comments, and `TZ=…` in the first. As in
 * Jenkins, all five must agree: a day of the month and a day of the week are both demanded, where cron takes either.
 */
final class Cron {
  private record Field(String name, int from, int to) {}

  private static final List<Field> FIELDS = List.of(new Field("minute", 0, 59), new Field("hour", 0, 23), new Field("day of month", 1, 31),
      new Field("month", 1, 12), new Field("day of week", 0, 7));
  private static final Pattern PART = Pattern.compile("(?:\\*|(\\d{1,4})(?:-(\\d{1,4}))?)(?:/(\\d{1,4}))?");

  private final ZoneId zone;
  private final List<List<BitSet>> lines;

  private Cron(ZoneId zone, List<List<BitSet>> lines) {
    this.zone = zone;
    this.lines = lines;
  }

  /** @throws IllegalArgumentException saying what is wrong with which line */
  static Cron parse(String spec) {
    ZoneId zone = ZoneId.systemDefault();
    List<List<BitSet>> lines = new ArrayList<>();
    int number = 0;
    for (String line : spec.lines().map(String::trim).toList()) {
      number++;
      if (line.startsWith("TZ=")) {
        if (number > 1) throw fault(line, "a time zone stands in the first line");
        // hudson.scheduler.CronTabList#getValidTimezone: by name only.
        String name = line.substring(3);
        if (!Set.of(TimeZone.getAvailableIDs()).contains(name)) throw fault(line, "is not a time zone");
        zone = TimeZone.getTimeZone(name).toZoneId();
      } else if (!line.isEmpty() && !line.startsWith("#")) lines.add(fields(line));
    }
    if (lines.isEmpty()) throw new IllegalArgumentException("the schedule is empty");
    return new Cron(zone, lines);
  }

  private static List<BitSet> fields(String line) {
    if (line.startsWith("@") || line.contains("H")) throw fault(line, "H and @names are not covered: write numbers");
    String[] given = line.split("\\s+");
    if (given.length != FIELDS.size()) throw fault(line, "has " + given.length + " fields, not five");
    List<BitSet> fields = new ArrayList<>();
    for (int i = 0; i < given.length; i++) fields.add(values(line, FIELDS.get(i), given[i]));
    // Sunday is 0 and 7.
    BitSet days = fields.get(4);
    if (days.get(7)) days.set(0);
    return fields;
  }

  private static BitSet values(String line, Field field, String text) {
    BitSet values = new BitSet();
    for (String part : text.split(",", -1)) {
      Matcher match = PART.matcher(part);
      if (!match.matches()) throw fault(line, "'" + part + "' is no " + field.name);
      boolean one = match.group(1) != null && match.group(2) == null;
      if (one && match.group(3) != null) throw fault(line, "'" + part + "': a step needs * or a range");
      int from = match.group(1) == null ? field.from : Integer.parseInt(match.group(1));
      int to = one ? from : match.group(2) == null ? field.to : Integer.parseInt(match.group(2));
      int step = match.group(3) == null ? 1 : Integer.parseInt(match.group(3));
      if (from < field.from || to > field.to || from > to || step < 1)
        throw fault(line, "'" + part + "' is no " + field.name + " (" + field.from + "-" + field.to + ")");
      for (int value = from; value <= to; value += step) values.set(value);
    }
    return values;
  }

  private static IllegalArgumentException fault(String line, String what) {
    return new IllegalArgumentException("'" + line + "': " + what);
  }

  /** Whether the minute that holds this moment is on the schedule. */
  boolean at(Instant moment) {
    ZonedDateTime time = moment.atZone(zone);
    int[] now = {time.getMinute(), time.getHour(), time.getDayOfMonth(), time.getMonthValue(), time.getDayOfWeek().getValue() % 7};
    return lines.stream().anyMatch(fields -> {
      for (int i = 0; i < now.length; i++) if (!fields.get(i).get(now[i])) return false;
      return true;
    });
  }
}

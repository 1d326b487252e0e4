// Processor time in the words of both versions of control groups. Linux Documentation/admin-guide/cgroup-v2.rst, "CPU Interface Files";
// Documentation/scheduler/sched-bwc.rst and sched-design-CFS.rst for version 1.
using System.Globalization;

namespace Lamina.Host.Groups;

/// <summary>Caps and weights of groups.</summary>
public static class GroupCpus
{
    // In microseconds. Short, so that a guest stands for a moment only; the kernel takes no quota below a millisecond.
    private const int Period = 50_000, LongPeriod = 1_000_000, LeastQuota = 1_000;

    // Version 1 has 1024 where version 2 has 100, and nothing below 2.
    private const int UsualShares = 1024, UsualWeight = 100, LeastShares = 2;

    /// <summary>Puts a cap in force.</summary>
    /// <param name="group">The group.</param>
    /// <param name="percent">In percent of one processor; null for none.</param>
    /// <exception cref="HostException">The host refuses.</exception>
    public static void SetCap(this ControlGroup group, int? percent)
    {
        ArgumentNullException.ThrowIfNull(group);
        var period = percent * (long)Period / 100 < LeastQuota ? LongPeriod : Period;
        var quota = percent * (long)period / 100;
        if (group.Version == 2)
        {
            group.Write("cpu.max", quota is null ? "max" : string.Create(CultureInfo.InvariantCulture, $"{quota} {period}"));
            return;
        }
        if (quota is not null) group.Write("cpu.cfs_period_us", period.ToString(CultureInfo.InvariantCulture));
        group.Write("cpu.cfs_quota_us", quota?.ToString(CultureInfo.InvariantCulture) ?? "-1");
    }

    /// <summary>Puts a weight in force.</summary>
    /// <param name="group">The group.</param>
    /// <param name="weight">1 to 10000; 100 is usual.</param>
    /// <exception cref="HostException">The host refuses.</exception>
    public static void SetWeight(this ControlGroup group, int weight)
    {
        ArgumentNullException.ThrowIfNull(group);
        if (group.Version == 2) group.Write("cpu.weight", weight.ToString(CultureInfo.InvariantCulture));
        else group.Write("cpu.shares", Math.Max(weight * UsualShares / UsualWeight, LeastShares).ToString(CultureInfo.InvariantCulture));
    }
}

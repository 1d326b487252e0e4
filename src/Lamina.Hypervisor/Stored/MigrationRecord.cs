// What is said in a machine's folder while it is on its way, or has gone: one that was given to another host must not run here again by mistake, and
// one that has not come wholly is none yet.
using Lamina.Host;

namespace Lamina.Hypervisor.Stored;

/// <summary>A machine's way to or from another place.</summary>
/// <param name="Time">When that was.</param>
/// <param name="Place">Where it went to, as it was named; null: it was to come here.</param>
/// <param name="IsConfirmed">Whether it was said that it runs there.</param>
public sealed record MigrationRecord(DateTimeOffset Time, string? Place, bool IsConfirmed)
{
    internal static MigrationRecord? Read(MachineHome home) => RecordFile.Read(home.Migrated, root =>
        root.TryGetProperty("time", out var time) && time.TryGetDateTimeOffset(out var at) ? new MigrationRecord(at, root.TryGetProperty("to", out var place) ? place.GetString() : null, root.TryGetProperty("confirmed", out var confirmed) && confirmed.GetBoolean()) : null);

    internal void Write(MachineHome home) => RecordFile.Write(home.Migrated, json =>
    {
        json.WriteString("time", Time);
        if (Place is not null) json.WriteString("to", Place);
        json.WriteBoolean("confirmed", IsConfirmed);
    }, durable: true);

    /// <summary>The machine is here, and nowhere else, even if the host loses its power now.</summary>
    internal static void Drop(MachineHome home)
    {
        if (HostFiles.TryUnlink(home.Migrated)) HostFiles.SyncDirectory(Path.GetDirectoryName(home.Migrated)!);
    }

    /// <summary>Refuses to start what is elsewhere.</summary>
    /// <exception cref="MachineException">It is.</exception>
    internal static void Check(MachineHome home)
    {
        if (Read(home) is not { } record) return;
        var time = $"{record.Time.ToLocalTime():yyyy-MM-dd HH:mm:ss}";
        throw new MachineException(MachineError.State, record switch
        {
            { Place: null } => $"the machine {home.Name} was to come here at {time} and never came to run, so that it is where it came from; remove what is here with 'lamina rm {home.Name}'",
            { IsConfirmed: true } => $"the machine {home.Name} went to {record.Place} at {time} and runs there; remove what is left of it here with 'lamina rm {home.Name}'",
            _ => $"the machine {home.Name} was given to {record.Place} at {time}, and the link broke before that side said that it runs: look there; if it does not, 'lamina start --cold {home.Name}' begins anew here with its disk as it was then",
        });
    }
}

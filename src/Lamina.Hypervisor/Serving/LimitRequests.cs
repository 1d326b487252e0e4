// The request "limits": says what limits are in force, and changes them while the machine runs. Values have the names and the notation of
// definitions (docs/definition.md); what is changed holds for this run, and the definition in the machine's folder stays as it is.
using System.Text.Json;
using Lamina.Control;
using Lamina.Host;
using Lamina.Host.Groups;
using Lamina.Hypervisor.Contract;
using Lamina.Hypervisor.Limiting;

namespace Lamina.Hypervisor.Serving;

/// <summary>Carries out "limits".</summary>
internal static class LimitRequests
{
    private static readonly string[] OfDevices = ["rate", "iops", "packets", "burst"], OfMachines = ["cpu-cap", "cpu-weight", "cpu-pin", "memory-limit"], Told = [.. OfMachines, "cpu-reserve", "memory-reserve", "pool"];

    /// <summary>Changes what the request names, all of it or nothing, and gives what writes the limits that are in force then.</summary>
    /// <exception cref="ControlRequestException">It names what there is not.</exception>
    /// <exception cref="MachineException">A value cannot be.</exception>
    internal static async Task<Action<Utf8JsonWriter>> CarryOutAsync(ControlRequest request, ServedMachine served, CancellationToken cancellationToken)
    {
        await served.Changing.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (request.Text("device") is { } name) await LimitDeviceAsync(request, name, served, cancellationToken).ConfigureAwait(false);
            else await LimitMachineAsync(request, served, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            served.Changing.Release();
        }
        var definition = served.Definition;
        return line => Write(line, definition, served.Groups);
    }

    private static async Task LimitDeviceAsync(ControlRequest request, string name, ServedMachine served, CancellationToken cancellationToken)
    {
        var said = Said(request, OfDevices);
        request.RefuseOthers();
        // Refuses what has no limits.
        _ = served.Definition.WithRate(name, new RateLimit());
        var device = served.Definition.Devices.First(other => other.Name == name);
        foreach (var (property, text) in said) device = DeviceKind.Of(device).With(device, property, text);
        var limit = device is DiskDevice disk ? disk.Limit : ((NetworkDevice)device).Limit;
        await served.Machine.DoAsync(new MachineAction.SetRate(name, limit), cancellationToken).ConfigureAwait(false);
        served.Definition = served.Definition.WithRate(name, limit);
    }

    private static async Task LimitMachineAsync(ControlRequest request, ServedMachine served, CancellationToken cancellationToken)
    {
        var said = Said(request, OfMachines);
        request.RefuseOthers();
        if (said.Count == 0) return;
        var definition = said.Aggregate(served.Definition, (machine, value) => MachineShape.Shape.With(machine, value.Name, value.Text));
        MachineCheck.CheckShares(definition);
        var before = served.Definition;
        var isMemory = definition.MemoryLimit != before.MemoryLimit;
        if (isMemory && served.Groups.Memory is null) throw new MachineException(MachineError.Host, "the memory limit cannot be kept: there are no control groups for memory here that this user may use");
        await served.Machine.DoAsync(new MachineAction.SetCpuLimit(definition.CpuLimit), cancellationToken).ConfigureAwait(false);
        try
        {
            if (isMemory) served.Groups.Memory!.SetMemory(definition.MemoryLimit);
        }
        catch (HostException refused)
        {
            // All or nothing.
            await served.Machine.DoAsync(new MachineAction.SetCpuLimit(before.CpuLimit), CancellationToken.None).ConfigureAwait(false);
            throw new MachineException(MachineError.Host, $"the host refuses this memory limit, which the machine may be over already: {refused.Message}", refused);
        }
        served.Definition = definition;
    }

    private static List<(string Name, string Text)> Said(ControlRequest request, IEnumerable<string> names) =>
        [.. names.Select(name => (name, request.Value(name))).Where(value => value.Item2 is not null).Select(value => (value.name, value.Item2!))];

    private static void Write(Utf8JsonWriter line, MachineDefinition definition, LimitGroups groups)
    {
        line.WriteStartObject();
        WriteProperties(line, MachineShape.Shape.Write(definition).Where(property => Told.Contains(property.Name)));
        line.WriteStartObject("kept-by");
        line.WriteString("cpu", LimitGroups.MeansOf(groups.Cpu) ?? "the machine's own metering");
        if (LimitGroups.MeansOf(groups.Memory) is { } means) line.WriteString("memory", means);
        line.WriteEndObject();
        line.WriteStartObject("devices");
        foreach (var device in definition.Devices.Where(device => device is DiskDevice or NetworkDevice))
        {
            line.WriteStartObject(device.Name);
            WriteProperties(line, DeviceKind.Of(device).Write(device).Where(property => OfDevices.Contains(property.Name)));
            line.WriteEndObject();
        }
        line.WriteEndObject();
        line.WriteEndObject();
    }

    private static void WriteProperties(Utf8JsonWriter line, IEnumerable<WrittenProperty> properties)
    {
        foreach (var property in properties) line.WriteString(property.Name, property.Values[0]);
    }
}

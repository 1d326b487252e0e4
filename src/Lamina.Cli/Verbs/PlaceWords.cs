// The words by which is said where the devices of a machine lead that goes on elsewhere, or later.
using System.CommandLine;
using Lamina.Hypervisor.Carrying;

namespace Lamina.Cli.Verbs;

/// <summary>Options of verbs that have a machine go on.</summary>
internal static class PlaceWords
{
    /// <summary>A device.</summary>
    /// <param name="where">Where it goes on: here, there.</param>
    internal static Option<string[]> Device(string where) => new("--device") { HelpName = "NAME,PROPERTY=VALUE…", Description = $"Where a device leads {where}, as definitions say it: share0,path=FOLDER, disk0,path=FILE, network0,link=switch=PATH. Repeatable." };

    /// <summary>A port.</summary>
    /// <param name="which">Of which host: this, that.</param>
    internal static Option<string[]> Published(string which) => new("--publish", "-p") { HelpName = "[ADDRESS:]HOST:GUEST[/udp]", Description = $"Lead a port of {which} host to one of the guest's, in place of those that the machine published. Repeatable." };

    /// <summary>What was said.</summary>
    /// <exception cref="UsageException">It says nothing that could be.</exception>
    internal static ArrivalPlaces Read(ParseResult parsed, Option<string[]> device, Option<string[]> published)
    {
        try
        {
            return ArrivalPlaces.Parse(parsed.GetValue(device)!, [.. parsed.GetValue(published)!.Select(PublishedPort.Parse)]);
        }
        catch (MachineException refused)
        {
            throw new UsageException(refused.Message);
        }
    }
}

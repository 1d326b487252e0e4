// The addresses that a guest says it has, as a machine's process tells them and lists of machines show them. A guest says what it likes: what is kept
// of it are addresses, in the host's own writing, of so many interfaces with names of such a length.
using System.Net;
using System.Net.Sockets;
using System.Text.Json;

namespace Lamina.Hypervisor.Contract;

/// <summary>A guest's network interface.</summary>
/// <param name="Name">What the guest calls it.</param>
/// <param name="Addresses">Its addresses.</param>
public sealed record GuestInterface(string Name, IReadOnlyList<IPAddress> Addresses)
{
    /// <summary>How many addresses of a guest are told, of all interfaces together.</summary>
    public const int MostAddresses = 64;

    /// <summary>The longest name of an interface that is told.</summary>
    public const int LongestName = 64;

    /// <summary>Whether others could reach the guest there: it is neither of the guest for itself, nor of one line alone.</summary>
    public static bool IsReachable(IPAddress address)
    {
        ArgumentNullException.ThrowIfNull(address);
        if (IPAddress.IsLoopback(address) || address.IsIPv6LinkLocal || address.IsIPv6Multicast || address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any)) return false;
        return address.AddressFamily != AddressFamily.InterNetwork || address.GetAddressBytes() is not ([169, 254, ..] or [0 or >= 224, ..]);
    }

    /// <summary>Reads what an agent says: a line each of a name and an address. What is neither is passed over.</summary>
    internal static IReadOnlyList<GuestInterface> Read(string said)
    {
        var pairs = new List<(string, string)>();
        foreach (var line in said.AsSpan().EnumerateLines())
            if (line.LastIndexOf(' ') is > 0 and var end) pairs.Add((line[..end].ToString(), line[(end + 1)..].ToString()));
        return Gather(pairs);
    }

    /// <summary>Reads what <see cref="Write"/> wrote, by a process that its guest may have taken over.</summary>
    internal static IReadOnlyList<GuestInterface> Read(JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.Object) return [];
        try
        {
            return Gather(value.EnumerateObject().Where(one => one.Value.ValueKind == JsonValueKind.Array)
                .SelectMany(one => one.Value.EnumerateArray().Where(item => item.ValueKind == JsonValueKind.String).Select(item => (one.Name, item.GetString()!))));
        }
        catch (InvalidOperationException)
        {
            // A text that is no UTF-8.
            return [];
        }
    }

    /// <summary>Writes them as one value: an object with a list of addresses for each interface.</summary>
    public static void Write(Utf8JsonWriter line, IReadOnlyList<GuestInterface> interfaces)
    {
        ArgumentNullException.ThrowIfNull(line);
        ArgumentNullException.ThrowIfNull(interfaces);
        line.WriteStartObject();
        foreach (var one in interfaces)
        {
            line.WriteStartArray(one.Name);
            foreach (var address in one.Addresses) line.WriteStringValue(address.ToString());
            line.WriteEndArray();
        }
        line.WriteEndObject();
    }

    private static IReadOnlyList<GuestInterface> Gather(IEnumerable<(string Name, string Address)> pairs)
    {
        var found = new List<(string Name, List<IPAddress> Addresses)>();
        var left = MostAddresses;
        foreach (var (said, text) in pairs)
        {
            if (left == 0) break;
            // A zone is the guest's own, and this host's interfaces are not to be searched for it.
            var zone = text.IndexOf('%', StringComparison.Ordinal);
            if (said.Length is 0 or > LongestName || !IPAddress.TryParse(zone < 0 ? text : text[..zone], out var address)) continue;
            var name = new string([.. said.Select(letter => char.IsLetterOrDigit(letter) || char.IsPunctuation(letter) || letter == ' ' ? letter : '?')]);
            var index = found.FindIndex(one => one.Name == name);
            if (index < 0) found.Add((name, [address]));
            else if (!found[index].Addresses.Contains(address)) found[index].Addresses.Add(address);
            else continue;
            left--;
        }
        return [.. found.Select(one => new GuestInterface(one.Name, one.Addresses))];
    }
}

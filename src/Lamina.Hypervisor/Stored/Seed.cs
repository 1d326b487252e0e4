// What a machine is told at its first start: the disk that cloud-init calls NoCloud, a FAT volume "cidata" with the files
// meta-data and user-data. Images with cloud-init read it as it is; the image "debian" has a script of ours that reads the same.
// Its meta-data is YAML with one plain value a line, so that a script can. The same settings make the same bytes, with the same
// instance-id: a guest applies a seed once. Source: cloud-init's documentation, datasources, NoCloud.
using System.Security.Cryptography;
using System.Text;
using Lamina.Host.Io;

namespace Lamina.Hypervisor.Stored;

/// <summary>The settings of a first start.</summary>
public sealed record Seed
{
    private const string Label = "cidata", MetaData = "meta-data", InstanceId = "instance-id: ", Copy = "lamina-copy: ";
    private const int LongestUserData = 1 << 20;
    private static ReadOnlySpan<byte> NoUserData => "#cloud-config\n{}\n"u8;

    private static readonly string[] KeyTypes = ["ssh-", "ecdsa-", "sk-"];

    /// <summary>The guest's host name.</summary>
    public required string HostName { get; init; }

    /// <summary>The user who gets the keys; one who is not there yet is made, with the right to become root.</summary>
    public required string User { get; init; }

    /// <summary>Public ssh keys, each as it stands in an authorized_keys file.</summary>
    public IReadOnlyList<string> Keys { get; init; } = [];

    /// <summary>A script (it begins with "#!"), which runs once as root, or whatever else the guest's cloud-init takes; or none.</summary>
    public ReadOnlyMemory<byte> UserData { get; init; }

    /// <summary>Whether <see cref="UserData"/> is a script, which every guest takes.</summary>
    public bool HasScript => UserData.Span.StartsWith("#!"u8);

    /// <summary>Reads public keys from a file with a key in each line; for a private key's file, from the one beside it that ends in ".pub".</summary>
    /// <exception cref="MachineException">There is no such file, or it holds no public keys.</exception>
    public static IReadOnlyList<string> ReadKeys(string path)
    {
        var text = Read(path);
        if (text.StartsWith("-----BEGIN ", StringComparison.Ordinal))
        {
            if (!File.Exists(path + ".pub")) throw new MachineException(MachineError.File, $"{path} is a private key, and there is no {path}.pub beside it; name the public key");
            text = Read(path + ".pub");
        }
        string[] lines = [.. text.Split('\n').Select(line => line.Trim()).Where(line => line.Length > 0 && line[0] != '#')];
        if (lines.Length == 0) throw new MachineException(MachineError.File, $"{path} holds no ssh key; name a file that ends in .pub");
        var wrong = Array.FindIndex(lines, line => !KeyTypes.Any(type => line.StartsWith(type, StringComparison.Ordinal)) || line.Split(' ').Length < 2);
        if (wrong >= 0) throw new MachineException(MachineError.File, $"{path} is not a file of public ssh keys, which begin with ssh- or ecdsa-; name a file that ends in .pub");
        // A key's comment is free text; in the guest it stands between quotes.
        return [.. lines.Select(line => string.Concat(line.Where(character => !char.IsControl(character) && character is not ('"' or '\\'))))];

        static string Read(string path)
        {
            try
            {
                return Encoding.UTF8.GetString(NamedFile.ReadStream(path, LongestUserData) ?? throw new MachineException(MachineError.File, $"{path} is larger than {LongestUserData >> 20} MiB, and no file of ssh keys is; name a file that ends in .pub"));
            }
            catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
            {
                throw new MachineException(MachineError.File, $"the ssh key {path} cannot be read; name a file with a public key", failure);
            }
        }
    }

    /// <summary>Reads what the guest is to run once or to give to its cloud-init.</summary>
    /// <exception cref="MachineException">There is no such file, or it is too large.</exception>
    public static ReadOnlyMemory<byte> ReadUserData(string path)
    {
        try
        {
            return NamedFile.ReadStream(path, LongestUserData)
                ?? throw new MachineException(MachineError.File, $"{path} is larger than {LongestUserData >> 20} MiB, which is the most that a guest is given at its first start; have it fetch the rest");
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new MachineException(MachineError.File, $"the file {path} cannot be read; name a script or a file for cloud-init", failure);
        }
    }

    /// <summary>The settings of a machine that was copied: as its first one's, for a guest of another name, which is to have an identity of its own. What that one's script did is on the disk.</summary>
    /// <param name="disk">The settings of the first.</param>
    /// <param name="hostName">The copy's host name.</param>
    /// <returns>Null where they are none that were made here.</returns>
    internal static byte[]? OfCopy(ReadOnlySpan<byte> disk, string hostName)
    {
        const string name = "local-hostname: ";
        if (FatImage.TryRead(disk, MetaData) is not { } text) return null;
        var lines = Encoding.UTF8.GetString(text).Split('\n').ToList();
        if (lines.FindIndex(line => line.StartsWith(name, StringComparison.Ordinal)) is var at && at < 0) return null;
        lines[at] = name + hostName;
        lines.RemoveAll(line => line.StartsWith(InstanceId, StringComparison.Ordinal) || line.StartsWith(Copy, StringComparison.Ordinal));
        lines.Insert(0, $"{Copy}{Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8))}");
        return ToDisk(string.Join('\n', lines), NoUserData);
    }

    /// <summary>The disk's bytes.</summary>
    public byte[] ToDisk()
    {
        var settings = new StringBuilder($"local-hostname: {HostName}\nlamina-user: {User}\n");
        if (Keys.Count > 0) settings.Append("public-keys:\n");
        foreach (var key in Keys) settings.Append($"  - \"{key}\"\n");
        return ToDisk(settings.ToString(), UserData.Length > 0 ? UserData.Span : NoUserData);
    }

    private static byte[] ToDisk(string settings, ReadOnlySpan<byte> userData)
    {
        var text = Encoding.UTF8.GetBytes(settings);
        var digest = Convert.ToHexStringLower(SHA256.HashData([.. text, .. userData]))[..16];
        return FatImage.Create(Label, [(MetaData, [.. Encoding.ASCII.GetBytes($"{InstanceId}lamina-{digest}\n"), .. text]), ("user-data", userData.ToArray())]);
    }
}

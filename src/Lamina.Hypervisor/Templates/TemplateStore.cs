// Machines that were booted once and are kept where their guest's agent first answered, so that the next machine that is to be the same
// goes on there and does not boot. They are a cache: each lies in a folder that is there whole or not at all, by a key that says all that the
// guest could tell it from another one by; the ones that were used last are kept, as many as there is room for. What lies here is executed by
// machines: nobody but the user may write to it.
using System.Security.Cryptography;
using System.Text;
using Lamina.Folders;
using Lamina.Host;
using Lamina.Host.Io;

namespace Lamina.Hypervisor.Templates;

/// <summary>The templates of a user.</summary>
/// <param name="folder">The folder, which need not exist.</param>
public sealed class TemplateStore(string folder)
{
    /// <summary>The most templates that are kept.</summary>
    public const int Most = 8;

    /// <summary>The most bytes of the host's disk that they take.</summary>
    public const long MostBytes = 4L << 30;

    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
    private const string Unfinished = ".new-";

    // What is being written is not this old; what is older was left by a program that was killed.
    private static readonly TimeSpan Forsaken = TimeSpan.FromHours(1);

    /// <summary>The store of the user, in the folder of what can be made again; null where there is no such folder.</summary>
    public static TemplateStore? OfUser() => UserFolders.Cache is { } cache ? new TemplateStore(Path.Combine(cache, "templates")) : null;

    /// <summary>The key of a machine's template; null for a machine that is to have none: what it leads to on this host, or gets from it, cannot be had twice.</summary>
    /// <param name="definition">The machine.</param>
    public static string? KeyOf(MachineDefinition definition)
    {
        ArgumentNullException.ThrowIfNull(definition);
        if (definition.GdbPort is not null || definition.Display is not null || definition.DebugExitPort is not null || definition.Boot.KernelPath is not { } kernel) return null;
        foreach (var device in definition.Devices)
        {
            var isOwn = device switch
            {
                DiskDevice or CdromDevice or FloppyDevice or ShareDevice => false,
                NetworkDevice card => card.Link is NetworkLink.User,
                SerialDevice serial => serial.To is ConsoleTarget.Null,
                ConsoleDevice console => console.To is ConsoleTarget.Null,
                _ => true,
            };
            if (!isOwn) return null;
        }
        var text = new StringBuilder().Append(typeof(Machine).Module.ModuleVersionId);
        foreach (var path in (string?[])[kernel, definition.Boot.InitrdPath, .. definition.Boot.Modules.Select(module => module.Path)])
        {
            if (path is null) continue;
            if (new FileInfo(path) is not { Exists: true } file) return null;
            _ = text.Append('\n').Append(file.Length).Append(' ').Append(file.LastWriteTimeUtc.Ticks);
        }
        var plain = definition with { Name = null, CodeArchive = null, Timeout = null, Devices = [.. definition.Devices.Select(device => device is VsockDevice socket ? socket with { Path = "" } : device)] };
        _ = text.Append('\n').Append(Encoding.UTF8.GetString(DefinitionJson.Write(plain)));
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString()))[..16]);
    }

    /// <summary>The folder of a template, for <see cref="Machine.Restore(string, Control.MachineHooks?, Func{MachineDefinition, MachineDefinition}?)"/>; null where there is none.</summary>
    public string? Find(string key)
    {
        var place = Path.Combine(folder, key);
        if (!Directory.Exists(place)) return null;
        try
        {
            Directory.SetLastWriteTimeUtc(place, DateTime.UtcNow);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            // It may be gone by now, which who uses it finds out, or not this user's to change.
        }
        return place;
    }

    /// <summary>Makes the folder, where it is not there.</summary>
    /// <returns>The folder; null where it cannot be had.</returns>
    public string? TryMake()
    {
        try
        {
            Directory.CreateDirectory(folder, Private);
            return folder;
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>The file that says which memory a guest touches first that goes on from a template.</summary>
    public static string WorkingSetOf(string template) => Path.Combine(template, "working-set");

    /// <summary>Forgets a template.</summary>
    public void Drop(string key) => Remove(Path.Combine(folder, key));

    /// <summary>Keeps a machine that runs. It stands still meanwhile and goes on.</summary>
    /// <param name="key">Its key.</param>
    /// <param name="machine">The machine.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="MachineException">It cannot be saved; it goes on.</exception>
    /// <exception cref="IOException">The host refuses.</exception>
    public async Task KeepAsync(string key, Machine machine, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(machine);
        Directory.CreateDirectory(folder, Private);
        MakeRoom();
        var place = Path.Combine(folder, $"{Unfinished}{Environment.ProcessId}-{Guid.NewGuid():N}");
        try
        {
            await machine.SaveAsync(place, cancellationToken).ConfigureAwait(false);
            Directory.Move(place, Path.Combine(folder, key));
            HostFiles.SyncDirectory(folder);
        }
        catch (IOException) when (Directory.Exists(Path.Combine(folder, key)))
        {
            // Another machine of the kind was quicker.
        }
        finally
        {
            Remove(place);
        }
    }

    /// <summary>Removes what was used longest ago until there is room for one more, and what killed programs left.</summary>
    internal void MakeRoom()
    {
        var now = DateTime.UtcNow;
        var (count, bytes) = (0, 0L);
        foreach (var place in new DirectoryInfo(folder).EnumerateDirectories().OrderByDescending(place => place.LastWriteTimeUtc).ToList())
        {
            if (place.Name.StartsWith(Unfinished, StringComparison.Ordinal))
            {
                if (now - place.LastWriteTimeUtc > Forsaken) Remove(place.FullName);
                continue;
            }
            bytes += place.EnumerateFiles().Sum(file => (long)HostPath.SpaceOf(file.FullName));
            if (++count >= Most || bytes > MostBytes) Remove(place.FullName);
        }
    }

    // A machine that goes on from one has its files open.
    private static void Remove(string place)
    {
        try
        {
            if (Directory.Exists(place)) Directory.Delete(place, recursive: true);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            // Another program removes it, too.
        }
    }
}

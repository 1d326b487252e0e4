// Whether this host's /dev/kvm can be used, and from which speed on it is worth it. That it opens proves little: some are
// software-assisted, and run a guest's kernel mode a thousand times slower than its user mode.
using Lamina.Host;

namespace Lamina.Engines.Kvm;

/// <summary>Questions about the host's hardware virtualization.</summary>
public static class KvmSupport
{
    /// <summary>Where the kernel offers it.</summary>
    public const string DefaultPath = KvmSystem.DefaultPath;

    /// <summary>
    /// Kernel mode slower than this (instructions a second) is emulated. Emulation was seen at 1.4 to 1.8 million, hardware at
    /// thousands of millions, hardware that is itself emulated (nested in a translator) at 200 million.
    /// </summary>
    public const double SlowestHardware = 20e6;

    /// <summary>The commands, for the administrator, after which a user may open the device.</summary>
    /// <param name="path">The device.</param>
    /// <param name="user">The user as the commands are to name it.</param>
    public static IReadOnlyList<string> CommandsForAccess(string path, string user)
    {
        string[] join = [$"usermod -aG kvm {user}"];
        return GroupMayOpen(path) ? join : [$"chgrp kvm {path}", $"chmod 660 {path}", .. join];
    }

    private static bool GroupMayOpen(string path)
    {
        const UnixFileMode both = UnixFileMode.GroupRead | UnixFileMode.GroupWrite;
        try
        {
            return (File.GetUnixFileMode(path) & both) == both;
        }
        catch (Exception unknown) when (unknown is IOException or UnauthorizedAccessException)
        {
            return true;
        }
    }

    /// <summary>Whether the engine can be used at all: the device opens and has what the engine needs.</summary>
    /// <returns>Null, or a sentence that says what is missing and what to do.</returns>
    public static string? WhyNot(string path = DefaultPath)
    {
        try
        {
            KvmSystem.Open(path).Dispose();
            return null;
        }
        catch (HostException missing)
        {
            return missing.Message;
        }
    }
}

// What the checks of a host look at: files of the kernel, devices, the two engines. Tests describe other hosts with it.
using Lamina.Choice;
using Lamina.Engines;
using Lamina.Engines.Translator;
using Lamina.Folders;
using Lamina.Host;
using Lamina.Host.Io.Ring;
using Lamina.Host.Locks;

namespace Lamina.Doctor;

/// <summary>A host, as far as the checks ask.</summary>
internal sealed record HostFacts
{
    /// <summary>The text of a file; null where it is not there or may not be read.</summary>
    internal Func<string, string?> Read { get; init; } = ReadFile;

    /// <summary>Whether a file or folder may be written.</summary>
    internal Func<string, bool> MayWrite { get; init; } = HostFiles.MayWrite;

    /// <summary>Opens a device for reading and writing; the error number where it cannot be opened, else 0.</summary>
    internal Func<string, int> OpenDevice { get; init; } = OpenAndClose;

    /// <summary>What /dev/kvm is judged by.</summary>
    internal KvmHost Kvm { get; init; } = new();

    /// <summary>Why the translator cannot run here, or null.</summary>
    internal Func<string?> WhyNoTranslator { get; init; } = TranslatorEngine.WhyNot;

    /// <summary>Times the translator.</summary>
    internal Func<double> MeasureTranslator { get; init; } = () => KernelModeSpeed.Measure(new TranslatorEngine());

    /// <summary>Why disks cannot use io_uring here, or null.</summary>
    internal Func<string?> WhyNoIoUring { get; init; } = DiskRing.WhyNot;

    /// <summary>Why this user's processes get no namespaces here, or null.</summary>
    internal Func<string?> WhyNoNamespaces { get; init; } = NamespaceProbe.WhyNot;

    /// <summary>The version of Landlock that processes can lock themselves by here; 0 where there is none.</summary>
    internal Func<int> Landlock { get; init; } = () => PathLock.Version;

    /// <summary>The highest level of CPU model that a guest can have.</summary>
    internal Func<string> HighestCpuModel { get; init; } = CpuModels.HighestLevel;

    /// <summary>The processors that this process may use.</summary>
    internal int Processors { get; init; } = Environment.ProcessorCount;

    /// <summary>Where images are kept and how many bytes are free there; null where neither can be told.</summary>
    internal (string Folder, long Free)? Disk { get; init; } = CacheDisk();

    /// <summary>Where the translator's code is kept, or null; and why it cannot be kept there, or null.</summary>
    internal (string? Folder, string? WhyNot) CodeArchive { get; init; } = FindCodeArchive();

    /// <summary>The text of a file of this host; null where it is not there or may not be read.</summary>
    internal static string? ReadFile(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static int OpenAndClose(string path)
    {
        using var file = DeviceFile.TryOpen(path, out var error);
        return error;
    }

    // A folder that is still to be made will be the user's.
    private static (string?, string?) FindCodeArchive() =>
        CodeArchiveFolder.Place is { } folder ? (folder, Directory.Exists(folder) ? TranslatorEngine.WhyNotKeptIn(folder) : null) : (null, null);

    private static (string, long)? CacheDisk()
    {
        if (UserFolders.Cache is not { } folder) return null;
        try
        {
            // The folder may be still to be made: the nearest one above it that exists says where it will be.
            var existing = folder;
            while (!Directory.Exists(existing)) existing = Path.GetDirectoryName(existing) ?? "/";
            return (folder, new DriveInfo(existing).AvailableFreeSpace);
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return null;
        }
    }
}

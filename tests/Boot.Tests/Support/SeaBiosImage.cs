// SeaBIOS, fetched as the program itself fetches it; tests that need it are skipped, with the reason, where it cannot be had.
using Lamina.Images;
using Lamina.Images.Bios;
using Xunit;

namespace Lamina.Tests.Boot.Support;

internal static class SeaBiosImage
{
    private static readonly Lazy<Task<(string? Path, string? Reason)>> Fetched = new(FetchAsync);

    internal static async Task<string> GetAsync()
    {
        var (path, reason) = await Fetched.Value;
        Assert.SkipWhen(path is null, $"the firmware seabios cannot be had here: {reason}");
        return path!;
    }

    private static async Task<(string? Path, string? Reason)> FetchAsync()
    {
        try
        {
            return ((await FirmwareStore.OfUser().FindOrBuildAsync(BootSource.SeaBios, new Progress<ImageProgress>(), CancellationToken.None)).KernelPath, null);
        }
        catch (ImageException e)
        {
            return (null, e.Message);
        }
    }
}

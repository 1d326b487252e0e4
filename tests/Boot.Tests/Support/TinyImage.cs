// The image "tiny", built once by the project's own builder. Tests that need it are skipped, with the builder's reason,
// where it cannot be had: no package manager, no network.
using Lamina.Images;
using Xunit;

namespace Lamina.Tests.Boot.Support;

internal static class TinyImage
{
    private static readonly Lazy<Task<(Image? Image, string? Reason)>> Built = new(BuildAsync);

    internal static async Task<Image> GetAsync()
    {
        var (image, reason) = await Built.Value;
        Assert.SkipWhen(image is null, $"the image tiny cannot be had here: {reason}");
        return image!;
    }

    private static async Task<(Image? Image, string? Reason)> BuildAsync()
    {
        try
        {
            return (await ImageStore.OfUser().FindOrBuildAsync("tiny", new Progress<ImageProgress>(), CancellationToken.None), null);
        }
        catch (ImageException e)
        {
            return (null, e.Message);
        }
    }
}

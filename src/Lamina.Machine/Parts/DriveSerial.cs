// The serial number of a drive to which its definition gives none: as long as an ATA drive's is, and the same at each start.
namespace Lamina.Parts;

internal static class DriveSerial
{
    private const string Prefix = "LAMINA-";
    private const int Longest = 20;

    /// <summary>A serial number that is another one's in no machine.</summary>
    /// <param name="name">The device's name in its machine.</param>
    internal static string Of(string name) => Prefix + (name.Length <= Longest - Prefix.Length ? name : Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.ASCII.GetBytes(name)))[..(Longest - Prefix.Length)]);
}
